//! Committed docs are what the program generates. `NODEWARD_WRITE=1` remakes them.

fn holds(file: &str, page: &str) {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("NODEWARD_WRITE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "{file} is not what the program makes; remake it with \
         NODEWARD_WRITE=1 cargo test --test it generated"
    );
}

#[test]
fn the_schema_of_webhooks_is_that_of_what_is_posted() {
    holds(
        "docs/webhook.schema.json",
        &nodeward::notify::webhook::schema(),
    );
}

#[test]
fn the_document_of_the_api_holds_every_path() {
    let document = nodeward::serve::api::openapi::document();
    let document = serde_json::to_string_pretty(&document).unwrap();
    holds("docs/openapi.json", &format!("{document}\n"));
}

#[test]
fn metrics_page_holds_every_declared_name() {
    holds("docs/METRICS.md", &nodeward::cli::names::page());
}
