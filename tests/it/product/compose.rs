//! docker-compose.yml and packaging/compose: pinned images, mounted files that exist, flags that nodeward has.

use std::process::Command;

use super::{list, root, text, yaml};

/// The keys used, with the meaning they have in the compose specification.
const KEYS: &[&str] = &[
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "network_mode",
    "pid",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "tmpfs",
    "security_opt",
    "user",
    "volumes",
];

#[test]
fn services_use_known_keys_pinned_images_and_files_that_exist() {
    let file = yaml(&root().join("docker-compose.yml"));
    let services = file["services"].as_object().unwrap();
    assert!(services.contains_key("nodeward"));
    for (name, service) in services {
        for port in list(&service["ports"]) {
            assert!(text(port).starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for key in service.as_object().unwrap().keys() {
            assert!(KEYS.contains(&key.as_str()), "{name}: {key}");
        }
        match service["image"].as_str() {
            Some(image) => {
                let (_, tag) = image.rsplit_once(':').expect(image);
                // PostgreSQL's versions have two numbers, and some tags name a distribution too.
                let version = tag.split(['.', '-', 'v']);
                let numbers = version.filter(|part| part.parse::<u32>().is_ok());
                let wanted = if image.starts_with("postgres:") { 2 } else { 3 };
                assert_eq!(
                    numbers.count(),
                    wanted,
                    "{image} is not pinned to a version"
                );
            }
            None => {
                let context = root().join(text(&service["build"]));
                assert!(context.join("Dockerfile").is_file(), "{name} has no image");
            }
        }
        for volume in list(&service["volumes"]) {
            let (source, read_only) = match volume.as_str() {
                Some(short) => {
                    let (source, rest) = short.split_once(':').expect(short);
                    (source, rest.ends_with(":ro"))
                }
                None => (text(&volume["source"]), volume["read_only"] == true),
            };
            let kept = file["volumes"].get(source).is_some();
            assert!(read_only || kept, "{name} may write to {source}");
            if source.starts_with('.') {
                assert!(root().join(source).exists(), "{name}: there is no {source}");
            }
        }
        for other in list(&service["depends_on"]) {
            assert!(services.contains_key(text(other)), "{name}: {other}");
        }
    }
}

#[test]
fn nodeward_has_the_flags_it_is_started_with() {
    let help = Command::new(env!("CARGO_BIN_EXE_nodeward"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let file = yaml(&root().join("docker-compose.yml"));
    let command = list(&file["services"]["nodeward"]["command"]);
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let given = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("CMD "))
        .expect("the Dockerfile has a CMD");
    let given: Vec<String> = serde_json::from_str(given).unwrap();
    let command = command.iter().map(|word| text(word).to_owned());
    for word in command.chain(given) {
        let Some(flag) = word.strip_prefix("--") else {
            assert_eq!(word, "run");
            continue;
        };
        let name = flag.split('=').next().unwrap();
        assert!(
            help.contains(&format!("--{name} "))
                || help.contains(&format!("--{name}\n"))
                || help.contains(&format!("--[no-]{name}")),
            "nodeward run has no --{name}"
        );
    }
}

#[test]
fn the_programs_around_it_find_one_another() {
    let at = |name: &str| yaml(&root().join("packaging/compose").join(name));
    let compose = yaml(&root().join("docker-compose.yml"));
    let command: Vec<&str> = list(&compose["services"]["nodeward"]["command"])
        .iter()
        .map(text)
        .collect();
    let scrape = &at("prometheus.yml")["scrape_configs"][0];
    let target = text(&scrape["static_configs"][0]["targets"][0]).to_owned();
    assert!(command.contains(&format!("--web.listen-address={target}").as_str()));
    let endpoint =
        text(&compose["services"]["nodeward"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
            .to_owned();
    let receiver = &at("collector.yaml")["receivers"]["otlp"]["protocols"]["http"]["endpoint"];
    assert_eq!(endpoint, format!("http://{}", text(receiver)));
    let prometheus = list(&compose["services"]["prometheus"]["command"]);
    let source = &at("grafana/datasources.yml")["datasources"][0];
    let address = text(&source["url"])
        .trim_start_matches("http://")
        .to_owned();
    assert!(
        prometheus
            .iter()
            .any(|word| text(word) == format!("--web.listen-address={address}"))
    );
    let volumes = list(&compose["services"]["grafana"]["volumes"]);
    let place = &at("grafana/dashboards.yml")["providers"][0]["options"]["path"];
    assert!(
        volumes
            .iter()
            .any(|volume| text(volume) == format!("./dashboards:{}:ro", text(place)))
    );
}
