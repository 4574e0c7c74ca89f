//! TLS of outgoing connections: `rustls`, with the certificates the system trusts (or those in the file that
//! `SSL_CERT_FILE` names), and `ring` for its cryptography.

/// Chooses the cryptography, once for the process and before the first connection; again it changes nothing.
pub fn choose_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
