//! The list of kinds of gates, and the config's choice among them.

use super::Kind;

crate::kinds! {
    /// How the pool is told: exactly one kind.
    Way of Kind;

    haproxy_agent: HaproxyAgent(super::haproxy_agent::HaproxyAgent) "HAProxy asks this node (agent-check).";
    haproxy_runtime: HaproxyRuntime(super::haproxy_runtime::HaproxyRuntime) "This node tells HAProxy over its runtime API, and sees the pool through it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_list_is_the_key_in_the_config() {
        let text = r#"{"haproxy_agent": {"listen": ["127.0.0.1:9201"]}}"#;
        let way: Way = serde_json::from_str(text).unwrap();
        assert_eq!(way.kind(), "haproxy_agent");
        let schema = serde_json::to_string(&schemars::schema_for!(Way)).unwrap();
        for kind in KINDS {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }
}
