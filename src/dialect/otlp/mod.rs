//! The OTLP dialect: batch, resource, sender.
