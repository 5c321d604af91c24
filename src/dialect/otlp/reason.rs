//! Why telemetry was not taken, as a closed set: metric labels and log lines use these words.

/// Why a request failed or its items were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No connection could be made. Sent again.
    Connect,
    /// No whole answer within the timeout. Sent again.
    Timeout,
    /// The connection broke before the whole answer was there. Sent again.
    Broken,
    /// 429, or RESOURCE_EXHAUSTED with RetryInfo. Sent again.
    Overloaded,
    /// 502, 503, 504, or a retryable gRPC code. Sent again.
    Unavailable,
    /// 401, 403, UNAUTHENTICATED, PERMISSION_DENIED. Dropped.
    Unauthorized,
    /// 404, UNIMPLEMENTED, a redirect: nothing takes OTLP at that address. Dropped.
    NotFound,
    /// The request is larger than the receiver, or nodeward's own cap, allows. Dropped.
    TooLarge,
    /// Any other answer of a receiver that does not want the request. Dropped.
    Rejected,
    /// The answer is none of the protocol. Dropped, but sent again if it is no HTTP at all.
    Malformed,
    /// Some items of a request that was taken otherwise. Dropped.
    PartialSuccess,
    /// The queue was full; the oldest went. Dropped.
    QueueFull,
    /// The spool was full; its oldest file went. Dropped.
    SpoolFull,
    /// Older than the spool keeps. Dropped.
    Expired,
    /// Its file in the spool cannot be read. Dropped.
    Damaged,
    /// nodeward stopped before the receiver took it. Dropped.
    Shutdown,
}

impl Reason {
    /// Which setting may help with `signal`, as the end of a line of the log.
    pub(super) fn remedy(self, signal: &str) -> Option<String> {
        match self {
            // Prometheus and others take one signal only.
            Self::NotFound => Some(format!(
                "; if it takes no {signal}, otlp.{signal}: false stops sending them"
            )),
            Self::Unauthorized => {
                Some("; logins are headers: otlp.headers_file or OTEL_EXPORTER_OTLP_HEADERS".into())
            }
            _ => None,
        }
    }

    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 16] = [
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::Overloaded,
        Self::Unavailable,
        Self::Unauthorized,
        Self::NotFound,
        Self::TooLarge,
        Self::Rejected,
        Self::Malformed,
        Self::PartialSuccess,
        Self::QueueFull,
        Self::SpoolFull,
        Self::Expired,
        Self::Damaged,
        Self::Shutdown,
    ];

    /// Whether the same request may be taken later, and so is sent again.
    pub(super) const fn passes(self) -> bool {
        matches!(
            self,
            Self::Connect | Self::Timeout | Self::Broken | Self::Overloaded | Self::Unavailable
        )
    }

    /// The word for labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::PartialSuccess => "partial_success",
            Self::QueueFull => "queue_full",
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::Shutdown => "shutdown",
        }
    }
}
