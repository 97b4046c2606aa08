//! TLS as for the service: the system's authorities, and those of `--ca-cert`.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::failure::Failure;
use crate::error::QuotaError;

/// Trusts the system's authorities and further ones, PEM.
pub(super) fn config(ca_cert_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, QuotaError> {
    let refused = |what: String| QuotaError::Refused(format!("TLS to Redis can't be set up: {what}"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match ca_cert_pem {
        None => Verifier::new(provider.clone()),
        Some(pem) => Verifier::new_with_extra_roots(authorities(pem).map_err(refused)?, provider.clone()),
    };
    let verifier = verifier.map_err(|error| refused(error.to_string()))?;
    // Nobody installs a provider for the whole process.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?;
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()))
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let authorities = authorities.map_err(|_| "the certificate authorities can't be read".to_owned())?;
    if authorities.is_empty() {
        return Err("the file of certificate authorities holds none".to_owned());
    }
    Ok(authorities)
}

pub(super) async fn wrap(
    config: &Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::NoTlsName)?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(Failure::Tls)
}
