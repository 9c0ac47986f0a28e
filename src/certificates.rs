//! Whose certificates are believed: those of the operating system, and those of a file.

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Those that the operating system believes. What cannot be read there is of no use, and none may be left.
pub(crate) fn roots_of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Believes the certificates in `pem` as well; or why that cannot be done.
pub(crate) fn believe(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), &'static str> {
    let mut own = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is not PEM")?;
        let added = roots.add(certificate);
        added.map_err(|_| "has a certificate that cannot be read")?;
        own += 1;
    }
    if own == 0 {
        return Err("has no certificate (PEM)");
    }
    Ok(())
}
