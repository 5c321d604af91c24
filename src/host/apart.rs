//! Work that blocks, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

/// Tells work that nobody waits for it any more.
#[derive(Clone, Default)]
pub struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Whether somebody still waits.
    #[must_use]
    pub fn is(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

struct Unwanted(Wanted);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread of its own and waits for it; the thread is told when the future is dropped.
///
/// A thread each, and not a pool: what is done so is rare, and what hangs must not hold up what has nothing to do with it.
///
/// # Errors
/// When there is no thread for it, or it panicked.
pub async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce(&Wanted) -> T + Send + 'static,
) -> Result<T, String> {
    let wanted = Wanted::default();
    let _unwanted = Unwanted(wanted.clone());
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("nodeward-{name}"))
        .stack_size(512 << 10)
        .spawn(move || drop(tell.send(work(&wanted))))
        .map_err(|e| format!("no thread could be started for it: {e}"))?;
    told.await
        .map_err(|_| "the thread at work on it panicked".to_owned())
}
