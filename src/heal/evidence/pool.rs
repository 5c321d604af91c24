//! The pool, as its load balancer sees it.

use serde_json::json;
use tokio::time::Instant;

use super::Part;
use crate::heal::guards::Unseen;
use crate::heal::job::Job;
use crate::heal::world::Reach;
use crate::model::target::Target;

pub(super) const VIEW: usize = 8 << 10;
/// Clients of the pool that are named.
const CLIENTS: usize = 20;

/// The view of the pool that the playbook leaves or heals; none where it has nothing to do with one.
pub(super) async fn view(reach: &Reach, job: &Job, until: Instant) -> Option<Part> {
    let rungs = job
        .plan
        .rungs
        .iter()
        .filter_map(|rung| rung.isolates.as_deref());
    let target = match &job.incident.target {
        Target::Pool(pool) => Some(pool.as_str()),
        _ => None,
    };
    let pool = target
        .or(job.plan.isolate.as_deref())
        .or_else(|| rungs.into_iter().next())?;
    let part = Part::new("pool", pool, VIEW);
    let found = async {
        let looked = reach.pools.look(pool).await;
        let leaving = looked.map_err(|Unseen(why)| why)?;
        let (view, not_seen) = match leaving.view {
            Ok(mut view) => {
                view.clients.truncate(CLIENTS);
                (Some(view), None)
            }
            Err(Unseen(why)) => (None, Some(why)),
        };
        let told = json!({
            "min_healthy": leaving.min_healthy,
            "out_by_others_at": leaving.foreign,
            "view": view,
            "not_seen": not_seen,
        });
        let text = serde_json::to_string_pretty(&told);
        Ok(text.unwrap_or_default().into())
    };
    Some(part.by(until, found).await)
}
