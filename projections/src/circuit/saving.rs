//! The circuit as a checkpoint has it: the state of its operators, and which tenants were born or
//! have failed where.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::state::{self, CIRCUIT, Capture, Reader, StatePart, damaged, put_bytes};
use super::{Circuit, Operator};
use crate::{RuntimeError, Tenant};

/// What [`CIRCUIT`] has, by slot.
const BORN: u64 = 0;
const FAILED: u64 = 1;
const TOLD: u64 = 2;

/// The form in which operators write their entries; to be raised when one is changed.
const FORM: u32 = 1;

/// A hash of the plans that views were compiled from.
#[derive(Default)]
pub(super) struct Plans(SipHasher13);

impl Circuit {
    /// Notes what a view is compiled from.
    pub(crate) fn note_plan(&mut self, view: &str, plan: &str) {
        for text in [view, plan] {
            self.plans.0.write_usize(text.len());
            self.plans.0.write(text.as_bytes());
        }
    }

    /// Tells which state fits: that of a circuit with the same views, compiled to the same
    /// operators, which write their entries in the same form.
    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        let mut hasher = self.plans.0;
        hasher.write_u32(FORM);
        for node in &self.nodes {
            hasher.write_u8(u8::from(node.append_only));
            node.inputs.iter().for_each(|input| hasher.write_usize(*input));
            for field in node.schema.fields() {
                hasher.write(field.name().as_bytes());
                hasher.write(field.data_type().to_string().as_bytes());
            }
        }
        hasher.finish128().as_bytes()
    }

    /// Makes a cut; answers what the circuit keeps beside its operators.
    pub(crate) fn cut(&mut self, whole: bool) -> StatePart {
        for operator in self.nodes.iter_mut().flat_map(|node| &mut node.operator) {
            operator.cut(whole);
        }
        let mut part = StatePart { store: CIRCUIT, ..StatePart::default() };
        let mut born: Vec<u32> = self.born.iter().map(|tenant| tenant.0).collect();
        born.sort_unstable();
        // An entry without bytes would say that nothing is there.
        part.bytes.push(0);
        part.bytes.extend(born.iter().flat_map(|tenant| tenant.to_le_bytes()));
        part.ends.push(part.bytes.len() as u64);
        part.bytes.push(0);
        for (place, node) in self.nodes.iter().enumerate() {
            for (tenant, error) in &node.failed {
                put_place(&mut part.bytes, place, *tenant);
                put_bytes(&mut part.bytes, error.message.as_bytes());
            }
        }
        part.ends.push(part.bytes.len() as u64);
        part.bytes.push(0);
        for (place, output) in self.outputs.iter().enumerate() {
            output.told.iter().for_each(|tenant| put_place(&mut part.bytes, place, *tenant));
        }
        part.ends.push(part.bytes.len() as u64);
        part.slots = vec![BORN, FAILED, TOLD];
        part
    }

    /// Takes about `room` bytes of what the cut has of the operators; answers whether that was the
    /// last of it.
    pub(crate) fn capture(&mut self, room: usize) -> (Vec<StatePart>, bool) {
        let mut capture = Capture { node: 0, room, parts: Vec::new() };
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if let Some(operator) = &mut node.operator {
                capture.node = place;
                // What others have taken meanwhile, before steps changed it, may be much: it waits.
                if !operator.capture(&mut capture) || capture.room == 0 {
                    return (capture.parts, false);
                }
            }
        }
        (capture.parts, true)
    }

    /// The tenants of which something has failed.
    pub(crate) fn failed_tenants(&self) -> BTreeSet<Tenant> {
        let failed = self.nodes.iter().flat_map(|node| node.failed.keys());
        failed.chain(self.outputs.iter().flat_map(|output| &output.told)).copied().collect()
    }

    /// The operators, to be loaded side by side.
    pub(crate) fn loaders(&mut self) -> impl Iterator<Item = StateLoader<'_>> {
        self.nodes.iter_mut().enumerate().filter_map(|(node, of)| {
            let operator = of.operator.as_deref_mut()?;
            Some(StateLoader { node, operator })
        })
    }

    /// Puts an entry of [`CIRCUIT`] back.
    pub(crate) fn restore(&mut self, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let (_, entry) = entry.split_first().ok_or_else(damaged)?;
        let mut entry = Reader(entry);
        match slot {
            BORN => self.born.clear(),
            FAILED => self.nodes.iter_mut().for_each(|node| node.failed = HashMap::new()),
            _ => self.outputs.iter_mut().for_each(|output| output.told.clear()),
        }
        while !entry.0.is_empty() {
            if slot == BORN {
                self.born.insert(Tenant(entry.u32()?));
                continue;
            }
            let (place, tenant) = (entry.u32()? as usize, Tenant(entry.u32()?));
            if slot == FAILED {
                let message = String::from_utf8_lossy(entry.bytes()?).into_owned();
                let node = self.nodes.get_mut(place).ok_or_else(damaged)?;
                node.failed.insert(tenant, RuntimeError { message });
            } else {
                self.outputs.get_mut(place).ok_or_else(damaged)?.told.insert(tenant);
            }
        }
        Ok(())
    }
}

fn put_place(out: &mut Vec<u8>, place: usize, tenant: Tenant) {
    out.extend_from_slice(&(place as u32).to_le_bytes());
    out.extend_from_slice(&tenant.0.to_le_bytes());
}

/// Puts the state of one operator back; those of different operators may run side by side.
pub struct StateLoader<'a> {
    node: usize,
    operator: &'a mut dyn Operator,
}

impl StateLoader<'_> {
    /// Whether a store is one of the operator's.
    pub fn owns(&self, store: u32) -> bool {
        state::node(store).0 == self.node
    }

    /// Puts an entry back; of one slot the last one counts.
    pub fn load(&mut self, store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        self.operator.restore(state::node(store).1, slot, entry)
    }

    /// To be called when all entries of the operator are back.
    pub fn finish(self) {
        self.operator.restored();
    }
}
