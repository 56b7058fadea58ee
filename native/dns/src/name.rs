//! Names as text, as keys, and as the reverse of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::{Name, ToName};
use weave_kernel::{Error, Result};

pub type DnsName = Name<Vec<u8>>;

const ROOT: u8 = 0;
const IPV4: &[u8] = b"\x07in-addr\x04arpa\0";
const IPV6: &[u8] = b"\x03ip6\x04arpa\0";

/// A name as the table knows it: on the wire, in lower case, not compressed.
pub fn key(name: &impl ToName) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key_into(name, &mut key);
    key
}

pub fn key_into(name: &impl ToName, key: &mut Vec<u8>) {
    key.clear();
    let Ok(()) = name.compose_canonical(key);
}

pub fn parse(field: &str, text: &str) -> Result<DnsName> {
    match DnsName::vec_from_str(text) {
        Ok(name) if !name.is_root() => Ok(name),
        Ok(_) => Err(Error::invalid(field, "a name has at least one label")),
        Err(error) => Err(Error::invalid(field, format!("\"{text}\": {error}"))),
    }
}

/// `web` and `web.weave.local` are both `web.weave.local.`; the domain itself and what is outside of it is no name of ours.
pub fn qualify(field: &str, text: &str, domain: &DnsName) -> Result<DnsName> {
    let name = parse(field, text)?;
    let name = if is_single(&key(&name)) {
        let chained = name.into_relative().chain(domain);
        let chained =
            chained.map_err(|_| Error::invalid(field, format!("\"{text}\" is too long")))?;
        chained.to_vec()
    } else {
        name
    };
    if name.ends_with(domain) && name.label_count() > domain.label_count() {
        return Ok(name);
    }
    Err(Error::invalid(
        field,
        format!("\"{text}\" is not in {}", domain.fmt_with_dot()),
    ))
}

/// The same as text, with its final dot; none for what is no name of the domain.
#[must_use]
pub fn qualified(text: &str, domain: &str) -> Option<String> {
    let domain = parse("domain", domain).ok()?;
    let name = qualify("name", text, &domain).ok()?;
    Some(name.fmt_with_dot().to_string())
}

pub fn is_single(key: &[u8]) -> bool {
    key[0] != ROOT && parent(key) == [ROOT]
}

/// The name without its first label.
pub fn parent(key: &[u8]) -> &[u8] {
    &key[1 + usize::from(key[0])..]
}

pub fn first_label(key: &[u8]) -> &[u8] {
    &key[1..=usize::from(key[0])]
}

/// The name and those above it, the root last.
pub fn suffixes(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(key), |key| (key[0] != ROOT).then(|| parent(key)))
}

pub fn is_within(key: &[u8], domain: &[u8]) -> bool {
    key.ends_with(domain) && suffixes(key).any(|suffix| suffix == domain)
}

/// The address that a whole reverse name stands for.
pub fn reversed(key: &[u8]) -> Option<IpAddr> {
    if key.ends_with(IPV4) {
        reversed_v4(key)
    } else if key.ends_with(IPV6) {
        reversed_v6(key)
    } else {
        None
    }
}

fn reversed_v4(mut key: &[u8]) -> Option<IpAddr> {
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        let label = str::from_utf8(first_label(key)).ok()?;
        *octet = label.parse().ok()?;
        if octet.to_string() != label {
            return None;
        }
        key = parent(key);
    }
    (key == IPV4).then(|| Ipv4Addr::from(octets).into())
}

fn reversed_v6(mut key: &[u8]) -> Option<IpAddr> {
    let mut address = 0_u128;
    for shift in (0..128).step_by(4) {
        let &[digit] = first_label(key) else {
            return None;
        };
        address |= u128::from(char::from(digit).to_digit(16)?) << shift;
        key = parent(key);
    }
    (key == IPV6).then(|| Ipv6Addr::from(address).into())
}

/// The name above that of `address` which is nearest to its subnet's: a reverse zone begins at a dot.
pub fn reverse_zone(address: IpAddr, prefix: u8) -> DnsName {
    let (labels, kept) = match address {
        IpAddr::V4(_) => (4, prefix / 8),
        IpAddr::V6(_) => (32, prefix / 4),
    };
    let mut whole = DnsName::reverse_from_addr(address).unwrap_or_else(|_| DnsName::root_vec());
    whole.make_canonical();
    let above = whole.iter_suffixes().nth(labels - usize::from(kept));
    above.map_or_else(DnsName::root_vec, |name| name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<u8> {
        key(&DnsName::vec_from_str(text).unwrap())
    }

    #[test]
    fn a_single_label_is_qualified_and_a_name_of_the_domain_is_taken_as_it_is() {
        let domain = parse("domain", "weave.local").unwrap();
        for text in ["Web", "Web.", "Web.weave.LOCAL", "Web.weave.local."] {
            let name = qualify("name", text, &domain).unwrap();
            assert_eq!(key(&name), of("web.weave.local"), "{text}");
        }
        assert_eq!(
            key(&qualify("name", "a.b.weave.local", &domain).unwrap()),
            of("a.b.weave.local")
        );
    }

    #[test]
    fn what_is_no_name_of_the_domain_is_refused() {
        let domain = parse("domain", "weave.local.").unwrap();
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "weave.local",
            "a.example.com",
            "xweave.local",
            "a..b",
            &long,
        ] {
            assert!(qualify("name", text, &domain).is_err(), "{text}");
        }
    }

    #[test]
    fn within_is_told_by_labels() {
        let domain = of("weave.local");
        assert!(is_within(&of("a.weave.local"), &domain));
        assert!(is_within(&domain, &domain));
        assert!(!is_within(&of("aweave.local"), &domain));
        // The bytes of the domain, but inside a label.
        assert!(!is_within(b"\x0da\x05weave\x05local\0", &domain));
    }

    #[test]
    fn reverse_names_there_and_back() {
        for text in ["10.32.0.1", "255.0.0.255", "fd77:6561:7665::1f", "::"] {
            let address: IpAddr = text.parse().unwrap();
            let name = DnsName::reverse_from_addr(address).unwrap();
            assert_eq!(reversed(&key(&name)), Some(address));
        }
    }

    #[test]
    fn what_is_no_whole_reverse_name() {
        for text in [
            "in-addr.arpa",
            "1.in-addr.arpa",
            "1.2.3.4.5.in-addr.arpa",
            "01.2.3.4.in-addr.arpa",
            "256.2.3.4.in-addr.arpa",
            "+1.2.3.4.in-addr.arpa",
            "1.0.ip6.arpa",
            "1.2.3.4.xin-addr.arpa",
        ] {
            assert_eq!(reversed(&of(text)), None, "{text}");
        }
    }

    #[test]
    fn a_reverse_zone_begins_at_a_dot() {
        let zone = |address: &str, prefix| {
            let zone = reverse_zone(address.parse().unwrap(), prefix);
            zone.fmt_with_dot().to_string()
        };
        assert_eq!(zone("10.32.1.7", 12), "10.in-addr.arpa.");
        assert_eq!(zone("10.32.1.7", 24), "1.32.10.in-addr.arpa.");
        assert_eq!(zone("10.32.1.7", 0), "in-addr.arpa.");
        assert_eq!(zone("fd00::1", 16), "0.0.d.f.ip6.arpa.");
    }
}
