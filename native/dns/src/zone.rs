//! The domain, and how it is answered for.

use domain::{
    base::{Serial, Ttl},
    rdata::Soa,
};
use weave_kernel::Result;

use crate::name::{DnsName, key, parse};

pub struct Zone {
    pub domain: DnsName,
    pub key: Vec<u8>,
    pub ttl: Ttl,
    pub local_first: bool,
    /// Who serves it, for SOA and NS; an address of that name is the caller's to put.
    pub server: DnsName,
    hostmaster: DnsName,
}

impl Zone {
    pub fn new(domain: &str, ttl: u32, local_first: bool) -> Result<Self> {
        let domain = parse("domain", &domain.to_lowercase())?;
        let within = |label: &str| parse("domain", &format!("{label}.{domain}"));
        Ok(Self {
            key: key(&domain),
            ttl: Ttl::from_secs(ttl),
            local_first,
            server: within("dns")?,
            hostmaster: within("hostmaster")?,
            domain,
        })
    }

    /// Its last number is for how long "there is none" may be believed (RFC 2308).
    pub fn soa(&self, serial: u32) -> Soa<&DnsName> {
        let (refresh, retry, expire) = (3600, 600, 86_400);
        Soa::new(
            &self.server,
            &self.hostmaster,
            Serial(serial),
            Ttl::from_secs(refresh),
            Ttl::from_secs(retry),
            Ttl::from_secs(expire),
            self.ttl,
        )
    }
}
