//! A resolver whose name servers are silent until the test lets them speak.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use super::*;

const FAR: Duration = Duration::from_secs(3600);

/// Look-ups that hang until they are let go, one by one.
struct Hanging {
    resolver: Resolver,
    /// The names, as their look-ups begin.
    begun: UnboundedReceiver<String>,
    let_go: mpsc::Sender<()>,
    most_at_once: Arc<AtomicUsize>,
}

fn hanging() -> Hanging {
    let (begin, begun) = unbounded_channel();
    let (let_go, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let (now, most_at_once) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let most = Arc::clone(&most_at_once);
    let resolver = Resolver::over(move |host| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        begin.send(host.to_owned()).ok();
        gate.lock().unwrap().recv().ok();
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(vec!["192.0.2.1:0".parse().unwrap()])
    });
    Hanging {
        resolver,
        begun,
        let_go,
        most_at_once,
    }
}

fn ask(resolver: &Resolver, host: &'static str) -> JoinHandle<Found> {
    let resolver = resolver.clone();
    tokio::spawn(async move { resolver.lookup(host, 80, Instant::now() + FAR).await })
}

#[test]
fn names_that_hang_hold_their_own_threads_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut hanging = hanging();
        let asks: Vec<_> = ["a.example", "b.example", "c.example", "a.example"]
            .map(|host| ask(&hanging.resolver, host))
            .into();
        let mut begun = [
            hanging.begun.recv().await.unwrap(),
            hanging.begun.recv().await.unwrap(),
        ];
        begun.sort();
        assert_eq!(begun, ["a.example", "b.example"]);
        assert_eq!(
            tokio::task::spawn_blocking(|| "a page").await.unwrap(),
            "a page"
        );

        // Their time runs out.
        tokio::time::pause();
        tokio::time::advance(FAR).await;
        let mut outcomes = Vec::new();
        for ask in asks {
            outcomes.push(ask.await.unwrap().unwrap_err());
        }
        assert!(
            matches!(
                &outcomes[..],
                [
                    LookupError::Late(_),
                    LookupError::Late(_),
                    LookupError::Busy(c),
                    LookupError::Late(_)
                ] if c == "c.example"
            ),
            "{outcomes:?}"
        );
        tokio::time::resume();

        // Other names are refused without waiting, the same names wait for the call that hangs.
        let refused = ask(&hanging.resolver, "d.example").await.unwrap();
        assert!(matches!(refused, Err(LookupError::Busy(d)) if d == "d.example"));
        let again = ask(&hanging.resolver, "a.example");
        tokio::task::yield_now().await;
        hanging.let_go.send(()).unwrap();
        hanging.let_go.send(()).unwrap();
        assert_eq!(
            again.await.unwrap().unwrap(),
            ["192.0.2.1:80".parse().unwrap()]
        );
        assert!(
            hanging.begun.try_recv().is_err(),
            "no further look-up began"
        );
        assert_eq!(hanging.most_at_once.load(Ordering::SeqCst), THREADS);

        // Once they have ended, all is as before.
        let other = ask(&hanging.resolver, "d.example");
        assert_eq!(hanging.begun.recv().await.unwrap(), "d.example");
        hanging.let_go.send(()).unwrap();
        assert!(other.await.unwrap().is_ok());
    });
}

#[tokio::test]
async fn addresses_and_localhost_are_never_looked_up() {
    let resolver = Resolver::over(|host| Err(io::Error::other(format!("asked for {host}"))));
    for (host, expected) in [
        ("192.0.2.7", &["192.0.2.7:1"][..]),
        ("::1", &["[::1]:1"]),
        ("LocalHost", &["127.0.0.1:1", "[::1]:1"]),
    ] {
        let found = resolver.lookup(host, 1, Instant::now()).await.unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
    let error = resolver
        .lookup("x.example", 1, Instant::now() + FAR)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "asked for x.example");
}

#[tokio::test]
async fn many_names_at_once_all_get_their_answer() {
    let resolver = Resolver::over(|_| Ok(vec!["192.0.2.1:0".parse().unwrap()]));
    let names: Vec<_> = (0..50).map(|n| format!("n{n}.example")).collect();
    let mut asks = tokio::task::JoinSet::new();
    for name in names {
        let resolver = resolver.clone();
        asks.spawn(async move { resolver.lookup(&name, 1, Instant::now() + FAR).await });
    }
    for found in asks.join_all().await {
        assert_eq!(found.unwrap().len(), 1);
    }
    assert!(resolver.0.lock().threads <= THREADS);
}
