//! nodeward's own logs and traces; the only importer of the OpenTelemetry SDK.
