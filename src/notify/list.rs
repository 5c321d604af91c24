//! The list of kinds of notifiers, and the config's choice among them.

use super::Kind;

crate::kinds! {
    /// Who is told: exactly one kind.
    To of Kind;

    syslog: Syslog(super::syslog::Syslog) "A syslog server or SIEM (RFC 5424), or the local socket.";
    alertmanager: Alertmanager(super::alertmanager::Alertmanager) "An Alertmanager that takes alerts of nodeward's own.";
    email: Email(super::email::Email) "A mail server (SMTP), and who gets the mail.";
    webhook: Webhook(super::webhook::Webhook) "A web server that takes a POST of JSON.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_list_is_the_key_in_the_config() {
        let to: To = serde_json::from_str(r#"{"syslog": {"address": "local"}}"#).unwrap();
        assert_eq!(to.kind(), "syslog");
        let schema = serde_json::to_string(&schemars::schema_for!(To)).unwrap();
        for kind in KINDS {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }
}
