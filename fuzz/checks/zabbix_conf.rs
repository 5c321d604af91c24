//! Files of Zabbix agents and rules of keys: what is read of a text alone opens no file, and no key leads past a deny of its name.

use nodeward::config::agentd;
use nodeward::dialect::zabbix::key::Key;
use nodeward::dialect::zabbix::rules::{Rule, Rules};

/// Reads the bytes as a file, and its values as patterns of keys.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(lines) = agentd::of_text(text) else {
        return;
    };
    for line in lines {
        assert!(!line.name.is_empty() && line.value.trim() == line.value);
        let rule = |allow, deny| Rules::new(&[Rule { allow, deny }]);
        let (allow, deny) = (
            rule(Some(line.value.clone()), None),
            rule(None, Some(line.value.clone())),
        );
        assert_eq!(allow.is_ok(), deny.is_ok());
        let (Ok(allow), Ok(deny), Ok(key)) = (allow, deny, Key::parse(&line.value)) else {
            continue;
        };
        // A pattern without stars is a key, and fits it.
        assert!(allow.allow(&key, &|_| None));
        assert!(!deny.allow(&key, &|_| None));
    }
}
