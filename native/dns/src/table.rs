//! The names in memory.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    name::suffixes,
    record::{Checked, Entry},
    scope::{Scope, Scopes},
};

#[derive(Default)]
pub struct Table {
    names: HashMap<Box<[u8]>, Node>,
    entries: HashMap<String, Arc<Entry>>,
    /// In the order in which they were put.
    reverse: HashMap<IpAddr, Vec<Arc<Entry>>>,
    pub scopes: Scopes,
    /// Changes so far, for the SOA.
    pub serial: u32,
}

/// A name that exists: it has entries, or there are names below it.
#[derive(Default)]
struct Node {
    entries: Vec<Arc<Entry>>,
    /// How many, by the network that they are on.
    below: HashMap<Option<Box<str>>, usize>,
}

/// Changes what is answered from. All that was known is replaced by what was made beside it: nobody waits for that.
pub fn update(table: &RwLock<Table>, changes: Checked) {
    if !changes.everything_gone {
        write(table).apply(changes);
        return;
    }
    let mut fresh = Table {
        serial: read(table).serial,
        ..Table::default()
    };
    fresh.apply(changes);
    let old = mem::replace(&mut *write(table), fresh);
    drop(old);
}

/// A panic of one who held it is no reason to answer nobody.
pub fn read(table: &RwLock<Table>) -> RwLockReadGuard<'_, Table> {
    table.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(table: &RwLock<Table>) -> RwLockWriteGuard<'_, Table> {
    table.write().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn apply(&mut self, changes: Checked) {
        self.serial = self.serial.wrapping_add(1);
        for id in &changes.names_gone {
            self.forget(id);
        }
        for id in &changes.networks_gone {
            self.scopes.drop_network(id);
        }
        for address in changes.askers_gone {
            self.scopes.drop_asker(address);
        }
        for (id, subnets) in changes.networks {
            self.scopes.put_network(&id, subnets);
        }
        for (address, networks) in changes.askers {
            self.scopes.put_asker(address, networks);
        }
        for entry in changes.names {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        self.forget(&entry.id);
        let entry = Arc::new(entry);
        for above in suffixes(&entry.key).skip(1) {
            let below = &mut self.node(above).below;
            *below.entry(entry.network.clone()).or_default() += 1;
        }
        self.node(&entry.key).entries.push(entry.clone());
        for address in &entry.addresses {
            let named = self.reverse.entry(*address).or_default();
            named.push(entry.clone());
        }
        self.entries.insert(entry.id.clone(), entry);
    }

    fn node(&mut self, key: &[u8]) -> &mut Node {
        if !self.names.contains_key(key) {
            self.names.insert(key.into(), Node::default());
        }
        self.names.entry(key.into()).or_default()
    }

    fn forget(&mut self, id: &str) {
        let Some(entry) = self.entries.remove(id) else {
            return;
        };
        self.release(&entry.key, |node| {
            node.entries.retain(|known| !Arc::ptr_eq(known, &entry));
        });
        for above in suffixes(&entry.key).skip(1) {
            self.release(above, |node| {
                if let Some(count) = node.below.get_mut(&entry.network) {
                    *count -= 1;
                    if *count == 0 {
                        node.below.remove(&entry.network);
                    }
                }
            });
        }
        for address in &entry.addresses {
            if let Some(named) = self.reverse.get_mut(address) {
                named.retain(|known| !Arc::ptr_eq(known, &entry));
                if named.is_empty() {
                    self.reverse.remove(address);
                }
            }
        }
    }

    fn release(&mut self, key: &[u8], change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.names.get_mut(key) {
            change(node);
            if node.entries.is_empty() && node.below.is_empty() {
                self.names.remove(key);
            }
        }
    }

    /// What a name has that may be told; nothing when there is no such name.
    pub fn get<'a>(
        &'a self,
        key: &[u8],
        scope: Scope<'a>,
    ) -> Option<impl Iterator<Item = &'a Entry> + Clone + use<'a>> {
        let node = self.names.get(key)?;
        let seen = move |entry: &&Arc<Entry>| scope.sees(entry.network.as_deref());
        let entries = node.entries.iter().filter(seen).map(Arc::as_ref);
        let mut below = node.below.keys();
        let exists =
            entries.clone().next().is_some() || below.any(|network| scope.sees(network.as_deref()));
        exists.then_some(entries)
    }

    /// The first name that an address was given, of those that may be told.
    pub fn name_of(&self, address: IpAddr, scope: &Scope) -> Option<&Entry> {
        let mut entries = self.reverse.get(&address)?.iter();
        let entry = entries.find(|entry| scope.sees(entry.network.as_deref()))?;
        Some(entry)
    }

    pub fn knows(&self, address: IpAddr) -> bool {
        self.reverse.contains_key(&address)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.entries.is_empty() && self.reverse.is_empty()
    }
}
