//! The landing page: what is served here, without a script.

use super::Options;

/// The page at `/`.
pub(super) fn page(options: &Options) -> String {
    let path = escape(&options.telemetry_path);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>nodeward</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:40rem;padding:0 1rem}}\
         td{{padding:.2rem 1.5rem .2rem 0}}</style></head>\n\
         <body><h1>nodeward</h1><p>Version {version}</p>\n<table>\n\
         <tr><td><a href=\"{path}\">{path}</a></td><td>the machine, for Prometheus</td></tr>\n\
         <tr><td><a href=\"/health\">/health</a></td><td>for load balancers</td></tr>\n\
         <tr><td><a href=\"/-/healthy\">/-/healthy</a></td><td>the process is alive</td></tr>\n\
         <tr><td><a href=\"/-/ready\">/-/ready</a></td><td>the machine was read</td></tr>\n\
         </table></body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
