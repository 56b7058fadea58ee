//! What a listening socket hears, chosen by the kernel before it costs a copy: only what something may have been lost by.
//! An attach alone makes thirty notifications.

use std::os::fd::{AsFd, AsRawFd};

use nix::{
    errno::Errno,
    libc::{
        self, AF_BRIDGE, BPF_ABS, BPF_B, BPF_H, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET,
        BPF_W, IFF_UP, NUD_PERMANENT, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE,
        RTM_NEWLINK, RTN_UNICAST, sock_filter, sock_fprog,
    },
};

use crate::error::Result;

// Where fields of `nlmsghdr`, and after its 16 bytes of `ifinfomsg`, `rtmsg` and `ndmsg`, are.
const NLMSG_TYPE: u32 = 4;
const IFI_FAMILY: u32 = 16;
const IFI_FLAGS: u32 = 24;
const IFI_CHANGE: u32 = 28;
const RTM_TYPE: u32 = 23;
const NDM_STATE: u32 = 24;
const NDM_FLAGS: u32 = 26;
const NTF_EXT_LEARNED: u8 = 0x10;

const HEAR: u32 = u32::MAX;
const IGNORE: u32 = 0;

/// Lets into the socket's queue: links that appear, are down, or go, from their bridge too; addresses, routes and permanent
/// neighbours and forwarding entries of ours that go. How else a link changes is told so often that only a full pass looks at it.
pub fn hear_losses(socket: &impl AsFd) -> Result<()> {
    attach(
        socket,
        &mut [
            // What a bridge says of its ports repeats what is said of the link, except that it lost one.
            of_type(
                RTM_NEWLINK,
                &[
                    when(is_u8(IFI_FAMILY, byte(AF_BRIDGE)), IGNORE),
                    // All bits: new here.
                    when(is_u32(IFI_CHANGE, u32::MAX), HEAR),
                    when(has_u32(IFI_FLAGS, IFF_UP.cast_unsigned()), IGNORE),
                ],
                HEAR,
            ),
            of_type(RTM_DELLINK, &[], HEAR),
            of_type(RTM_DELADDR, &[], HEAR),
            of_type(
                RTM_DELROUTE,
                &[when(is_u8(RTM_TYPE, RTN_UNICAST), HEAR)],
                IGNORE,
            ),
            // Others come and go with traffic.
            of_type(
                RTM_DELNEIGH,
                &[
                    when(has_u16(NDM_STATE, NUD_PERMANENT), HEAR),
                    // What a bridge was given is never permanent.
                    when(has_u8(NDM_FLAGS, NTF_EXT_LEARNED), HEAR),
                ],
                IGNORE,
            ),
            vec![verdict(IGNORE)],
        ]
        .concat(),
    )
}

fn of_type(kind: u16, rules: &[[sock_filter; 3]], otherwise: u32) -> Vec<sock_filter> {
    let [load, mut is] = is_u16(NLMSG_TYPE, kind);
    let rules = rules.concat();
    is.jf = byte(rules.len()) + 1;
    [vec![load, is], rules, vec![verdict(otherwise)]].concat()
}

fn when([load, mut test]: [sock_filter; 2], then: u32) -> [sock_filter; 3] {
    test.jf = 1;
    [load, test, verdict(then)]
}

// BPF loads in network order what netlink has in the machine's.

fn is_u8(at: u32, value: u8) -> [sock_filter; 2] {
    [load(BPF_B, at), jump(BPF_JEQ, u32::from(value))]
}

fn is_u16(at: u32, value: u16) -> [sock_filter; 2] {
    [load(BPF_H, at), jump(BPF_JEQ, u32::from(value.to_be()))]
}

fn has_u8(at: u32, bits: u8) -> [sock_filter; 2] {
    [load(BPF_B, at), jump(BPF_JSET, u32::from(bits))]
}

fn has_u16(at: u32, bits: u16) -> [sock_filter; 2] {
    [load(BPF_H, at), jump(BPF_JSET, u32::from(bits.to_be()))]
}

fn is_u32(at: u32, value: u32) -> [sock_filter; 2] {
    [load(BPF_W, at), jump(BPF_JEQ, value.to_be())]
}

fn has_u32(at: u32, bits: u32) -> [sock_filter; 2] {
    [load(BPF_W, at), jump(BPF_JSET, bits.to_be())]
}

fn load(size: u32, at: u32) -> sock_filter {
    instruction(BPF_LD | size | BPF_ABS, at)
}

fn jump(test: u32, k: u32) -> sock_filter {
    instruction(BPF_JMP | test | BPF_K, k)
}

fn verdict(k: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, k)
}

fn instruction(code: u32, k: u32) -> sock_filter {
    let code = u16::try_from(code).unwrap_or_default();
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn byte(number: impl TryInto<u8>) -> u8 {
    number.try_into().unwrap_or_default()
}

fn attach(socket: &impl AsFd, program: &mut [sock_filter]) -> Result<()> {
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel reads `len` instructions at `filter`, which outlive the call, and keeps a copy.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            libc::socklen_t::try_from(size_of::<sock_fprog>()).unwrap_or_default(),
        )
    };
    Ok(Errno::result(outcome).map(drop)?)
}
