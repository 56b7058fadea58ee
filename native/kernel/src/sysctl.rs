//! /proc/sys/net of the namespace that the calling thread is in: it follows `current->nsproxy`.

use std::{
    fs::{OpenOptions, read_to_string},
    io::Write,
    path::Path,
};

use nix::errno::Errno;

use crate::error::{Error, Result};

/// None when there is no such key.
pub fn get(key: &str) -> Result<Option<String>> {
    match read_to_string(Path::new("/proc/sys").join(key)).map_err(Error::from) {
        Ok(value) => Ok(Some(value.trim_end().to_owned())),
        Err(error) if error.is(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn set(key: &str, value: &str, if_present: bool) -> Result<()> {
    let path = Path::new("/proc/sys").join(key);
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    match written.map_err(Error::from) {
        Err(error) if if_present && error.is(Errno::ENOENT) => Ok(()),
        Err(error) => Err(Error {
            message: format!("{key}: {}", error.message),
            ..error
        }),
        Ok(()) => Ok(()),
    }
}
