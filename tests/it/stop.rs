//! SIGTERM while a command runs: it is asked to end, then made to, and what became of it is on record.

use serde_json::{Value, json};

use crate::healing::{Service, Told, body, config, post, verified};
use crate::program::{Program, Scratch, command};

/// Runs a script as the action of an alert, ends nodeward meanwhile, and gives the result of the action that is on record.
fn ended(script: &str) -> Value {
    let (scratch, service) = (Scratch::new(), Service::start());
    let mut config: Value = serde_json::from_str(&config("auto", &service, 1)).unwrap();
    config["playbooks"]["counted"]["ladder"] =
        json!([{"do": {"command": {"argv": ["/bin/sh", "-c", script]}}, "timeout": "5m"}]);
    let config = scratch.write("nodeward.yml", &config.to_string());
    let run = ["run", "--config", config.to_str().unwrap()];
    let mut program = Program::spawn(&mut command(&scratch, &run));
    let address = program.http();
    assert_eq!(post(&address, &body(&[0])), Some(200));
    Told::until(&scratch, "the action", |told| told.came_to("acting") == 1);
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
    let told = Told::read(&scratch);
    let states = told.states().into_values().next().unwrap();
    assert_eq!(states.last(), Some(&"verifying"), "{states:?}");
    let results: Vec<_> = told.of("result").collect();
    assert_eq!(results.len(), 1, "{results:?}");
    results[0]["data"].clone()
}

#[test]
fn a_command_that_runs_at_the_end_is_ended_and_that_is_on_record() {
    let polite = std::thread::spawn(|| ended("trap 'exit 0' TERM; while :; do sleep 0.05; done"));
    let deaf = ended("trap '' TERM; while :; do sleep 0.05; done");
    let polite = polite.join().unwrap();
    for (result, with) in [(polite, "SIGTERM"), (deaf, "SIGKILL")] {
        assert_eq!(result["outcome"], "unknown");
        assert_eq!(result["detail"]["stopped_with"], with, "{result}");
        let why = result["detail"]["why"].as_str().unwrap();
        assert!(why.contains("nodeward ended"), "{why}");
    }
}
