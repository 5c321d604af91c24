//! The names of settings that Zabbix agents have, and what each means here.

use crate::model::nearest::nearest;

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It sets something of ours.
    Taken,
    /// It is about how the agent works inside, which nodeward does another way.
    Inside,
    /// nodeward has nothing like it; why.
    Lacking(&'static str),
}

const TAKEN: [&str; 29] = [
    "AllowKey",
    "BufferSend",
    "BufferSize",
    "DenyKey",
    "HeartbeatFrequency",
    "HostInterface",
    "HostInterfaceItem",
    "HostMetadata",
    "HostMetadataItem",
    "Hostname",
    "HostnameItem",
    "ListenIP",
    "ListenPort",
    "RefreshActiveChecks",
    "Server",
    "ServerActive",
    "StartAgents",
    "TLSAccept",
    "TLSCAFile",
    "TLSCRLFile",
    "TLSCertFile",
    "TLSConnect",
    "TLSKeyFile",
    "TLSPSKFile",
    "TLSPSKIdentity",
    "TLSServerCertIssuer",
    "TLSServerCertSubject",
    "Timeout",
    "EnableRemoteCommands",
];

const INSIDE: [&str; 19] = [
    "AllowRoot",
    "ControlSocket",
    "DebugLevel",
    "EnablePersistentBuffer",
    "ForceActiveChecksOnStart",
    "ListenBacklog",
    "LogFile",
    "LogFileSize",
    "LogRemoteCommands",
    "LogType",
    "MaxLinesPerSecond",
    "PersistentBufferFile",
    "PersistentBufferPeriod",
    "PidFile",
    "PluginSocket",
    "PluginTimeout",
    "StatusPort",
    "UnsafeUserParameters",
    "User",
];

const LACKING: [(&str, &str); 13] = [
    (
        "Alias",
        "nodeward has no aliases of keys; items that use one are unsupported",
    ),
    (
        "LoadModule",
        "nodeward loads no modules; keys of one are unsupported",
    ),
    ("LoadModulePath", "nodeward loads no modules"),
    (
        "SourceIP",
        "nodeward connects from the address that the system chooses",
    ),
    ("TLSCipherAll", CIPHERS),
    ("TLSCipherAll13", CIPHERS),
    ("TLSCipherCert", CIPHERS),
    ("TLSCipherCert13", CIPHERS),
    ("TLSCipherPSK", CIPHERS),
    ("TLSCipherPSK13", CIPHERS),
    (
        "UserParameter",
        "nodeward runs no commands for keys; items that use one are unsupported",
    ),
    ("UserParameterDir", "nodeward runs no commands for keys"),
    ("Include", ""),
];

const CIPHERS: &str = "nodeward has its own list of ciphers, those that servers of Zabbix offer";

pub fn meaning(name: &str) -> Option<Meaning> {
    if TAKEN.contains(&name) {
        return Some(Meaning::Taken);
    }
    if INSIDE.contains(&name) || name.starts_with("Plugins.") {
        return Some(Meaning::Inside);
    }
    let lacking = LACKING.iter().find(|(known, _)| *known == name);
    lacking.map(|(_, why)| Meaning::Lacking(why))
}

/// Names that set one key of ours, and which.
pub const NAMES: [(&str, &str); 24] = [
    ("BufferSend", "buffer_send"),
    ("BufferSize", "buffer_size"),
    ("HeartbeatFrequency", "heartbeat"),
    ("HostInterface", "host_interface"),
    ("HostInterfaceItem", "host_interface_item"),
    ("HostMetadata", "host_metadata"),
    ("HostMetadataItem", "host_metadata_item"),
    ("Hostname", "hostname"),
    ("HostnameItem", "hostname_item"),
    ("ListenIP", "listen"),
    ("RefreshActiveChecks", "refresh_active_checks"),
    ("Server", "server"),
    ("ServerActive", "server_active"),
    ("TLSAccept", "tls.accept"),
    ("TLSCAFile", "tls.ca_file"),
    ("TLSCRLFile", "tls.crl_file"),
    ("TLSCertFile", "tls.cert_file"),
    ("TLSConnect", "tls.connect"),
    ("TLSKeyFile", "tls.key_file"),
    ("TLSPSKFile", "tls.psk_file"),
    ("TLSPSKIdentity", "tls.psk_identity"),
    ("TLSServerCertIssuer", "tls.server_cert_issuer"),
    ("TLSServerCertSubject", "tls.server_cert_subject"),
    ("Timeout", "timeout"),
];

/// Which name was meant, if one is near.
pub fn meant(name: &str) -> String {
    let all = TAKEN.iter().chain(&INSIDE).copied();
    let all = all.chain(LACKING.iter().map(|(name, _)| *name));
    let meant = nearest(name, all).map(|meant| format!("; did you mean {meant}?"));
    meant.unwrap_or_default()
}
