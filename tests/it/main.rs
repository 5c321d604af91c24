//! Tests that need nothing but this repository.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on fails by panicking"
)]

mod api;
mod audited;
mod collector;
mod compare;
mod config_generated;
mod config_load;
mod corpus;
mod crash;
mod demo;
mod dependencies;
mod examples;
mod flat;
mod full;
mod generated;
mod grafana_hook;
mod healing;
mod hostile;
mod import;
mod in_place;
mod isolate;
mod journal;
mod layers;
mod life;
mod operate;
mod plan;
mod pools;
mod product;
mod program;
mod rehearse;
mod second_opinion;
mod shut;
mod stop;
mod storm;
mod tls;
mod traces;
mod web;
