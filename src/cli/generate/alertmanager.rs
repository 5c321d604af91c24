//! `nodeward generate alertmanager`: routes and receivers for a list of nodes.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Uri;

pub(super) const NAME: &str = "alertmanager";
/// The hook, where a node's URL names none.
const HOOK: &str = "/hooks/alertmanager";

pub(super) fn command() -> Command {
    Command::new(NAME)
        .about("Receivers and routes by which Alertmanager tells each node its own alerts")
        .arg(
            Arg::new("node")
                .long("node")
                .value_name("NAME=URL")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(Node::parse)
                .help("A node: its name in the label instance without the port, and where its nodeward listens"),
        )
        .arg(
            Arg::new("credentials-file")
                .long("credentials-file")
                .value_name("FILE")
                .default_value("/etc/alertmanager/nodeward.token")
                .help("The file beside Alertmanager that holds the hooks' bearer token"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<String, String> {
    let nodes: Vec<&Node> = matches.get_many("node").into_iter().flatten().collect();
    let file = matches.get_one::<String>("credentials-file");
    page(&nodes, file.map_or("", String::as_str))
}

/// A node to be told of its alerts.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    url: String,
}

impl Node {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, url) = text
            .split_once('=')
            .ok_or("write NAME=URL, such as web-1=https://web-1:9300")?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(format!(
                "{name:?} is no name of a node: letters, digits, - _ and . are allowed"
            ));
        }
        let uri: Uri = url.parse().map_err(|e| format!("{url:?}: {e}"))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map_or("", |a| a.as_str());
        if !is_http || authority.is_empty() {
            return Err(format!("{url:?} is no URL such as https://web-1:9300"));
        }
        if authority.contains('@') {
            return Err("the URL holds a password; put the token into --credentials-file".into());
        }
        let url = match uri.path() {
            "" | "/" => format!("{}{HOOK}", url.trim_end_matches('/')),
            _ => url.to_owned(),
        };
        Ok(Self {
            name: name.to_owned(),
            url,
        })
    }
}

fn page(nodes: &[&Node], credentials: &str) -> Result<String, String> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = nodes.iter().find(|node| !seen.insert(&node.name)) {
        return Err(format!("--node {} is given twice", twice.name));
    }
    let mut page = String::from(
        "# For alertmanager.yml, made by `nodeward generate alertmanager`: put these routes before your own and these\n\
         # receivers beside your own. What a node is told goes on to the routes below it (`continue: true`), but not to the\n\
         # receiver of the root, which gets what no route takes: the last route stands in for it.\n\
         route:\n  receiver: people # yours\n  routes:\n",
    );
    // Writing to a String cannot fail.
    match write_all(&mut page, nodes, credentials) {
        Ok(()) | Err(std::fmt::Error) => Ok(page),
    }
}

fn write_all(page: &mut String, nodes: &[&Node], credentials: &str) -> std::fmt::Result {
    for Node { name, .. } in nodes {
        // No backslash, which would have to be doubled for YAML and for the matcher.
        let regex = name.replace('.', "[.]");
        writeln!(
            page,
            "  - receiver: nodeward-{name}\n    \
             matchers: ['instance=~\"{regex}(:[0-9]+)?\"', 'audience!=\"people\"'] # no alert on the node's state\n    \
             continue: true\n    \
             group_by: [alertname, instance]\n    \
             group_wait: 0s # nodeward waits itself, where a playbook says so\n    \
             group_interval: 30s # a resolution is told no sooner\n    \
             repeat_interval: 1h"
        )?;
    }
    page.push_str("  # Your own routes.\n  - receiver: people\n");
    page.push_str("receivers:\n- name: people # yours\n");
    for Node { name, url } in nodes {
        writeln!(
            page,
            "- name: nodeward-{name}\n  \
             webhook_configs:\n  \
             - url: {url}\n    \
             send_resolved: true\n    \
             max_alerts: 0\n    \
             http_config:\n      \
             follow_redirects: false\n      \
             authorization:\n        \
             credentials_file: {credentials}",
            url = quoted(url),
            credentials = quoted(credentials),
        )?;
        if url.starts_with("https:") {
            page.push_str(
                "      # tls_config: {ca_file: ca.pem, cert_file: alertmanager.crt, key_file: alertmanager.key} # as hooks.tls asks\n",
            );
        }
    }
    Ok(())
}

/// A text in the double quotes of JSON, which are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_a_route_by_its_instance_and_a_receiver_that_tells_of_ends() {
        let nodes = [
            "web-1.example.com=https://web-1:9300",
            "db=http://db:9100/hooks/team-b",
        ]
        .map(|text| Node::parse(text).unwrap());
        let page = page(&nodes.iter().collect::<Vec<_>>(), "/etc/a \"b\"").unwrap();
        for line in [
            "    matchers: ['instance=~\"web-1[.]example[.]com(:[0-9]+)?\"', 'audience!=\"people\"'] #",
            "  - url: \"https://web-1:9300/hooks/alertmanager\"\n",
            "  - url: \"http://db:9100/hooks/team-b\"\n",
            "        credentials_file: \"/etc/a \\\"b\\\"\"\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
        for each in ["continue: true", "send_resolved: true"] {
            assert_eq!(
                page.matches(each).count(),
                2 + usize::from(each.starts_with('c')),
                "{page}"
            );
        }
    }

    #[test]
    fn what_is_no_node_is_refused() {
        for text in [
            "web-1",
            "=http://x",
            "a b=http://x",
            "a\"=http://x",
            "a=x:9300",
            "a=ftp://x",
            "a=http://",
            "a=http://u:p@x/",
            "a=http://x y",
            "a='",
            "a=/hooks",
        ] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        let node = Node::parse("a=http://x").unwrap();
        let said = page(&[&node, &node], "f").unwrap_err();
        assert!(said.contains("twice"), "{said}");
    }
}
