//! Who wanted to use the API and was not let in.

use std::sync::Arc;

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::serve::Api;

/// Tells logins that failed.
pub struct Refused(pub Arc<Api>);

crate::families! { Refused:
    LOGINS counter "nodeward_api_refused_logins_total" ["why"] "Requests to the API that were not let in: missing (no token), wrong (a token that is nobody's), throttled (too many wrong ones from that address)";
}

impl Told for Refused {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut logins = page.family(&LOGINS);
        for (why, count) in self.0.logins().counts() {
            logins.push([why], count);
        }
    }
}
