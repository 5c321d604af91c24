//! The YAML file: load, validate, reload.
