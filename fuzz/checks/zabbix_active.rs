//! Answers of Zabbix servers: reading is bounded, and a list that is read holds no more than it may.

use nodeward::dialect::zabbix::active::reply::{self, Answer, MOST_ITEMS};

/// Reads the bytes as each of the answers.
pub fn check(bytes: &[u8]) {
    if let Ok(Answer::List(list)) = reply::checks(bytes) {
        let items = list.items.unwrap_or_default();
        assert!(items.len() <= MOST_ITEMS);
        for item in items {
            let bounded = |seconds: u64| (1..=600).contains(&seconds);
            assert!(
                item.timeout
                    .is_none_or(|timeout| bounded(timeout.as_secs()))
            );
        }
    }
    drop(reply::taken(bytes));
    drop(reply::redirect(bytes));
}
