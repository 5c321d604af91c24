//! The HTTP routes and the control socket.
