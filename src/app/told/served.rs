//! What was served and refused.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::serve::Requests;

/// Tells requests by path and code.
pub struct Served {
    /// Requests of the HTTP listener.
    pub requests: Arc<Requests>,
}

crate::families! { Served:
    REQUESTS counter "nodeward_http_requests_total" ["path", "code"] "HTTP requests answered, by path and code";
}

impl Told for Served {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut requests = page.family(&REQUESTS);
        for (path, code, count) in self.requests.all() {
            requests.push([path, itoa::Buffer::new().format(code)], count);
        }
    }
}
