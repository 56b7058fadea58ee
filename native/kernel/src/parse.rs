//! Text to values. Every refusal is EINVAL and names the field.

use std::net::IpAddr;

use crate::error::{Error, Result};

/// `IFNAMSIZ` without its closing NUL.
const NAME_MAX: usize = 15;
const VNI_MAX: u32 = (1 << 24) - 1;

pub type Mac = [u8; 6];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

/// What the kernel's `dev_valid_name` takes, without `%`, which would make the name a template.
pub fn link_name<'a>(field: &str, name: &'a str) -> Result<&'a str> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::invalid(
            field,
            format!("\"{name}\" is not a link name of 1 to {NAME_MAX} bytes"),
        ));
    }
    let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if name == "." || name == ".." || name.chars().any(unfit) {
        return Err(Error::invalid(
            field,
            format!("\"{name}\" is not a link name"),
        ));
    }
    Ok(name)
}

pub fn mac(field: &str, text: &str) -> Result<Mac> {
    let refused = || Error::invalid(field, format!("\"{text}\" is not a MAC address"));
    let mut mac = Mac::default();
    let mut octets = text.split(':');
    for octet in &mut mac {
        let digits = octets.next().ok_or_else(refused)?;
        if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refused());
        }
        *octet = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
    }
    octets.next().is_none().then_some(mac).ok_or_else(refused)
}

pub fn format_mac(mac: &[u8]) -> String {
    let octets: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(":")
}

pub fn ip(field: &str, text: &str) -> Result<IpAddr> {
    text.parse()
        .map_err(|_| Error::invalid(field, format!("\"{text}\" is not an IP address")))
}

pub fn cidr(field: &str, text: &str) -> Result<Cidr> {
    let refused = || {
        Error::invalid(
            field,
            format!("\"{text}\" is not an address with a prefix length"),
        )
    };
    let (address, prefix) = text.split_once('/').ok_or_else(refused)?;
    let address: IpAddr = address.parse().map_err(|_| refused())?;
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix: u8 = prefix.parse().map_err(|_| refused())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if !digits || prefix > longest {
        return Err(refused());
    }
    Ok(Cidr { address, prefix })
}

pub fn gateway(destination: Cidr, text: Option<&str>) -> Result<Option<IpAddr>> {
    let Some(text) = text else { return Ok(None) };
    let gateway = ip("gateway", text)?;
    if gateway.is_ipv4() != destination.address.is_ipv4() {
        return Err(Error::invalid(
            "gateway",
            format!("\"{text}\" is not of the destination's family"),
        ));
    }
    Ok(Some(gateway))
}

pub fn port(field: &str, port: u32) -> Result<u16> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| Error::invalid(field, format!("{port} is not a port")))
}

pub fn vni(field: &str, vni: u32) -> Result<u32> {
    (vni <= VNI_MAX)
        .then_some(vni)
        .ok_or_else(|| Error::invalid(field, format!("{vni} is not a VNI of 24 bits")))
}

/// Only an Ethernet address has six octets.
pub fn octets(field: &str, mac: &[u8]) -> Result<Mac> {
    mac.try_into()
        .map_err(|_| Error::invalid(field, "has no Ethernet address".to_owned()))
}

/// `IFALIASZ` is 256, with the terminating zero.
pub fn alias(field: &str, alias: Option<&str>) -> Result<Option<String>> {
    match alias {
        Some(alias) if alias.len() > 255 || alias.contains('\0') => Err(Error::invalid(
            field,
            format!("an alias of {} bytes is too long", alias.len()),
        )),
        alias => Ok(alias.map(ToOwned::to_owned)),
    }
}

/// A path below `/proc/sys/net`: the only part of the sysctl tree that follows a network namespace.
pub fn sysctl_key<'a>(field: &str, key: &'a str) -> Result<&'a str> {
    let climbs = key.split('/').any(|part| matches!(part, "" | "." | ".."));
    if !key.starts_with("net/") || climbs || key.contains('\0') {
        return Err(Error::invalid(
            field,
            format!("\"{key}\" is not a path below net/"),
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_are_what_the_kernel_takes() {
        assert!(link_name("name", "ethwe").is_ok());
        assert!(link_name("name", "fifteen-bytes-x").is_ok());
        for bad in [
            "",
            "sixteen-bytes-xx",
            ".",
            "..",
            "a b",
            "a/b",
            "a:b",
            "veth%d",
            "a\0b",
            "ä b",
        ] {
            let error = link_name("name", bad).unwrap_err();
            assert_eq!(error.code, "EINVAL", "{bad:?}");
            assert!(error.message.starts_with("name: "), "{error}");
        }
    }

    #[test]
    fn macs_round_trip() {
        let text = "02:00:0a:ff:00:01";
        assert_eq!(format_mac(&mac("mac", text).unwrap()), text);
        for bad in [
            "",
            "02:00:0a:ff:00",
            "02:00:0a:ff:00:01:02",
            "2:0:a:f:0:1",
            "02-00-0a-ff-00-01",
            "+2:00:0a:ff:00:01",
            "zz:00:0a:ff:00:01",
        ] {
            assert!(mac("mac", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cidrs_need_a_prefix_that_fits() {
        assert_eq!(cidr("address", "10.1.2.3/24").unwrap().prefix, 24);
        assert_eq!(cidr("address", "fd00::1/128").unwrap().prefix, 128);
        for bad in [
            "10.1.2.3",
            "10.1.2.3/33",
            "10.1/16",
            "010.0.0.1/8",
            "fd00::1/129",
            "10.1.2.3/",
            "10.1.2.3/+8",
            "/8",
            "",
        ] {
            assert!(cidr("address", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sysctl_keys_stay_below_net() {
        assert!(sysctl_key("key", "net/ipv6/conf/eth0.1/disable_ipv6").is_ok());
        for bad in [
            "kernel/hostname",
            "net/../kernel/hostname",
            "net//x",
            "/net/x",
            "net/",
            "net",
        ] {
            assert!(sysctl_key("key", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_gateway_is_of_the_destinations_family() {
        let destination = cidr("destination", "10.0.0.0/8").unwrap();
        assert!(gateway(destination, Some("10.0.0.1")).unwrap().is_some());
        assert!(gateway(destination, Some("fd00::1")).is_err());
        assert!(gateway(destination, None).unwrap().is_none());
    }
}
