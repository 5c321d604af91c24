//! The API as an OpenAPI document, from the types of its bodies and answers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::journal::Wanted;
use super::options::Role;
use super::route::{ROOT, Route};
use super::{order, shown};

/// Makes the schema of a type.
type Of = fn(&mut SchemaGenerator) -> Schema;

/// What can be asked at a path.
struct Operation {
    /// Below the root.
    path: &'static str,
    summary: &'static str,
    parameters: fn() -> Vec<Value>,
    /// What is posted; without it, it is a GET.
    body: Option<Of>,
    /// The body may be left out.
    bare: bool,
    answer: Of,
    /// Codes beside those that every path has.
    codes: &'static [u16],
}

/// A schema by its name.
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Alerts, in any of the forms that alert servers have for them.
fn alerts(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": ["object", "array"] })
}

const fn ask(path: &'static str, summary: &'static str, answer: Of) -> Operation {
    Operation {
        path,
        summary,
        parameters: Vec::new,
        body: None,
        bare: false,
        answer,
        codes: &[],
    }
}

const fn order(path: &'static str, summary: &'static str, body: Of) -> Operation {
    Operation {
        path,
        summary,
        parameters: Vec::new,
        body: Some(body),
        bare: false,
        answer: of::<shown::Done>,
        codes: &[403, 404, 409, 413],
    }
}

fn limit() -> Value {
    json!({"name": "limit", "in": "query", "description": "How many at most",
        "schema": {"type": "integer", "minimum": 1, "maximum": super::MOST, "default": super::LIMIT}})
}

fn named(name: &str, pattern: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description,
        "schema": {"type": "string", "pattern": pattern}})
}

fn pool() -> Vec<Value> {
    vec![named(
        "pool",
        "^[A-Za-z0-9._-]{1,64}$",
        "The name of a pool",
    )]
}

fn id() -> Value {
    named("id", "^[A-Za-z0-9]{1,64}$", "The whole id of an incident")
}

/// All of them.
fn operations() -> Vec<Operation> {
    vec![
        ask("state", "How the node is, and why", of::<shown::State>),
        ask(
            "checks",
            "Each check and what its last probe saw",
            of::<shown::Checks>,
        ),
        ask(
            "pools",
            "What keeps this node out of each pool",
            of::<shown::Pools>,
        ),
        Operation {
            parameters: || {
                vec![
                    json!({"name": "state", "in": "query", "description": "open, closed, all, or one state",
                        "schema": {"type": "string", "enum": Wanted::words(), "default": "open"}}),
                    limit(),
                ]
            },
            codes: &[409],
            ..ask(
                "incidents",
                "Incidents, those that are open by default",
                of::<shown::Incidents>,
            )
        },
        Operation {
            parameters: || vec![id()],
            codes: &[404, 409],
            ..ask(
                "incidents/{id}",
                "One incident, its guards and its records",
                of::<shown::Story>,
            )
        },
        Operation {
            parameters: || {
                let after = json!({"name": "after", "in": "query", "description": "Packets behind this number",
                    "schema": {"type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0}});
                vec![id(), after]
            },
            codes: &[404, 409],
            ..ask(
                "incidents/{id}/evidence",
                "How things were before its first action, and when people were told",
                of::<shown::Evidence>,
            )
        },
        Operation {
            parameters: || {
                let number = json!({"name": "number", "in": "path", "required": true, "description": "The number of a packet",
                    "schema": {"type": "integer", "minimum": 1, "maximum": u32::MAX}});
                vec![id(), number]
            },
            codes: &[404, 409],
            ..ask(
                "incidents/{id}/evidence/{number}",
                "One packet of that, byte for byte as its hash is on record",
                of::<shown::Packet>,
            )
        },
        Operation {
            parameters: || {
                let after = json!({"name": "after", "in": "query", "description": "Records behind this number",
                    "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX, "default": 0}});
                vec![after, limit()]
            },
            codes: &[409],
            ..ask(
                "events",
                "The journal, from a record on",
                of::<shown::Events>,
            )
        },
        ask(
            "openapi.json",
            "This document",
            |_| schemars::json_schema!({ "type": "object" }),
        ),
        Operation {
            parameters: || {
                vec![
                    json!({"name": "hook", "in": "query", "description": "The hook they come by; by default the one that takes such bodies",
                        "schema": {"type": "string"}}),
                    json!({"name": "as_new", "in": "query", "description": "As if they had begun now and were not told before",
                        "schema": {"type": "boolean", "default": false}}),
                ]
            },
            body: Some(alerts),
            codes: &[403, 404, 409, 413],
            ..ask(
                "plan",
                "What would happen if these alerts came in now; nothing is done",
                of::<shown::Planned>,
            )
        },
        Operation {
            bare: true,
            ..order("pause", "The kill switch", of::<order::Pause>)
        },
        Operation {
            bare: true,
            ..order("resume", "Its end", of::<order::Resume>)
        },
        order(
            "maintenance",
            "Begins or ends maintenance",
            of::<order::Maintenance>,
        ),
        order(
            "approve",
            "Yes to the question of an incident",
            of::<order::About>,
        ),
        order("reject", "No to it", of::<order::About>),
        order(
            "ack",
            "Takes up what was escalated",
            of::<order::Acknowledge>,
        ),
        order("cancel", "Ends an incident", of::<order::Cancel>),
        Operation {
            parameters: pool,
            ..order(
                "pools/{pool}/isolate",
                "This node leaves the pool",
                of::<order::Isolate>,
            )
        },
        Operation {
            parameters: pool,
            bare: true,
            ..order(
                "pools/{pool}/rejoin",
                "Takes a hold back",
                of::<order::Rejoin>,
            )
        },
    ]
}

const MEANINGS: &[(u16, &str)] = &[
    (
        400,
        "A body, member or parameter that is unknown or out of range",
    ),
    (401, "No token, or one that is nobody's"),
    (403, "The token may only read"),
    (404, "There is no such incident, pool or hook"),
    (405, "Another method"),
    (409, "Not in this state"),
    (413, "A body above 16 KiB"),
    (
        429,
        "Ten wrong tokens came from this address within a minute",
    ),
    (503, "Not now"),
];

/// The headers that come with a code.
fn headers(code: u16) -> Value {
    let header = |name: &str, description: &str| {
        let header =
            json!({"description": description, "required": true, "schema": {"type": "string"}});
        json!({ name: header })
    };
    match code {
        401 => header("WWW-Authenticate", "Which scheme, and what was wrong"),
        405 => header("Allow", "The right methods"),
        429 | 503 => header("Retry-After", "In how many seconds to try again"),
        _ => json!({}),
    }
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let wrong = of::<shown::Error>(&mut generator);
    let always = [401, 405, 429, 503];
    for operation in operations() {
        let schema = (operation.answer)(&mut generator);
        let mut responses = Map::new();
        let content = |schema: &Schema| json!({"application/json": {"schema": schema}});
        responses.insert(
            "200".into(),
            json!({"description": "Done, or here it is", "content": content(&schema)}),
        );
        let codes = [400].iter().chain(&always).chain(operation.codes);
        for code in codes {
            let meaning = MEANINGS.iter().find(|(known, _)| known == code);
            responses.insert(
                code.to_string(),
                json!({
                    "description": meaning.map_or("", |(_, meaning)| meaning),
                    "headers": headers(*code),
                    "content": content(&wrong),
                }),
            );
        }
        let mut what = json!({
            "operationId": operation.path.replace(['/', '.'], "_").replace(['{', '}'], ""),
            "summary": operation.summary,
            "parameters": (operation.parameters)(),
            "responses": responses,
        });
        let path = operation.path.replace("{number}", "1");
        let path = format!("{ROOT}{}", path.replace(['{', '}'], ""));
        let role = Route::find(&path);
        let role = role.map_or(Role::Operate, Route::role);
        if let Some(what) = what.as_object_mut() {
            what.insert("x-nodeward-role".into(), json!(role));
            if let Some(body) = operation.body {
                let schema = body(&mut generator);
                let body = json!({"required": !operation.bare, "content": content(&schema)});
                what.insert("requestBody".into(), body);
            }
        }
        let method = operation.body.map_or("get", |_| "post");
        paths.insert(format!("{ROOT}{}", operation.path), json!({ method: what }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nodeward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What operators may see and order of a running nodeward (docs/API.md). x-nodeward-role is what a token needs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": generator.take_definitions(true),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_somewhere_and_every_schema_it_names_is_there() {
        let document = document();
        let mut paths = 0;
        for path in document["paths"].as_object().unwrap().keys() {
            let path = path.replace("{id}", "01JD").replace("{pool}", "web");
            let path = path.replace("{number}", "1");
            assert!(Route::find(&path).is_some(), "{path}");
            paths += 1;
        }
        assert_eq!(paths, operations().len(), "two of the same path");
        let text = document.to_string();
        for named in text.split("\"#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }
}
