//! Changes of what is defined: a definition that is taken, with the views that read it, and one that is
//! deleted. Each holds the turn while it works.

use std::sync::Arc;

use projections::{Hidden, OwnLimits, Reads, Tenant, View, ViewDefinition};
use tenancy::StoredView;

use super::compile::{Reading, compile};
use super::definitions::{Definition, Definitions, State};
use super::{OwnViewError, Shared, names, stored};

impl Shared {
    /// Takes a definition; false if it is that of a view there was.
    pub(super) async fn take(
        &self,
        turn: &mut u64,
        tenant: Tenant,
        definition: ViewDefinition,
        hidden: &Hidden,
    ) -> Result<bool, OwnViewError> {
        names::check(&definition.name)?;
        check_shown(&definition.name, hidden.view(&definition.name))?;
        let name = definition.name.clone();
        let definitions = self.definitions(tenant);
        let before = definitions.get(&name);
        if let Some(before) = before.filter(|before| before.stated == definition)
            && !self.has_failed(tenant, before)
        {
            return Ok(false);
        }
        let is_new = before.is_none();
        self.check_room(tenant, &definitions, is_new)?;
        let changed = self.changed(tenant, &definitions, definition).await?;
        // The first is the new one; the others read it, and may well be hidden.
        if let Some(view) = changed.first() {
            check_shown(view.name(), view.hidden_by(hidden))?;
        }
        let stored: Vec<StoredView> = changed.iter().map(stored).collect();
        self.store.put_own_views(tenant.0, &stored).await?;
        *turn += 1;
        let group = *turn;
        let ended = self.write().entry(tenant).or_default().put(group, changed);
        self.queue.replace(tenant, &ended, group);
        self.announce(tenant).await?;
        Ok(is_new)
    }

    /// The definition, compiled, and behind it the views that read it.
    async fn changed(
        &self,
        tenant: Tenant,
        definitions: &Definitions,
        definition: ViewDefinition,
    ) -> Result<Vec<Definition>, OwnViewError> {
        let name = definition.name.clone();
        let dependants: Vec<Definition> =
            definitions.dependants(&name).into_iter().cloned().collect();
        let mut reading = Reading::new(self.readers.views(), definitions);
        let (own, reads) =
            compile(&self.types.visible(tenant), &reading, definition.clone()).await?;
        let circle = dependants.iter().map(Definition::name).chain([name.as_str()]);
        if let Some(through) = circle.into_iter().find(|other| reads.views.contains(*other)) {
            let mut path = vec![name.clone()];
            path.extend(definitions.path(through, &name));
            return Err(OwnViewError::Cycle(path));
        }
        let mut changed =
            vec![self.renewed(tenant, definitions.get(&name), definition, own, reads)];
        reading.replace(&changed[0]);
        for dependant in dependants {
            let definition = dependant.stated.clone();
            let compiled = compile(&self.types.visible(tenant), &reading, definition.clone()).await;
            let (own, reads) = compiled.map_err(|error| OwnViewError::Breaks {
                reader: definition.name.clone(),
                reason: error.to_string(),
            })?;
            let renewed = self.renewed(tenant, Some(&dependant), definition, own, reads);
            reading.replace(&renewed);
            changed.push(renewed);
        }
        Ok(changed)
    }

    /// A definition that is to be filled in the place of another.
    fn renewed(
        &self,
        tenant: Tenant,
        before: Option<&Definition>,
        definition: ViewDefinition,
        view: Arc<View>,
        reads: Reads,
    ) -> Definition {
        let former = before.and_then(|before| match before.state {
            State::Live if !self.has_failed(tenant, before) => {
                Some(Box::new(Definition { refused: None, ..before.clone() }))
            }
            _ => before.former.clone(),
        });
        let (view, state) = (Some(view), State::Filling);
        let Reads { views: reads, events, declared } = reads;
        let (stated, refused) = (definition, None);
        Definition { stated, view, reads, events, declared, group: 0, state, former, refused }
    }

    fn has_failed(&self, tenant: Tenant, view: &Definition) -> bool {
        let snapshot = self.readers.snapshot(tenant);
        let failed = |name| snapshot.view(name).is_some_and(|view| view.failure().is_some());
        matches!(view.state, State::Failed(_)) || view.state == State::Live && failed(view.name())
    }

    fn check_room(
        &self,
        tenant: Tenant,
        definitions: &Definitions,
        is_new: bool,
    ) -> Result<(), OwnViewError> {
        let OwnLimits { views, state_bytes, .. } = self.limits;
        if is_new && definitions.all().len() >= views {
            return Err(OwnViewError::Limit(format!(
                "there are {views} own views, and no more may be; delete one first"
            )));
        }
        let snapshot = self.readers.snapshot(tenant);
        let own = snapshot.views().iter().filter(|v| definitions.get(v.view().name()).is_some());
        let held: usize = own.map(projections::ViewSnapshot::bytes).sum();
        if is_new && held >= state_bytes {
            return Err(OwnViewError::Limit(format!(
                "the own views hold {held} bytes, and may hold {state_bytes}; delete one first"
            )));
        }
        Ok(())
    }

    /// Deletes a view, unless others read it.
    pub(super) async fn remove(&self, tenant: Tenant, name: String) -> Result<(), OwnViewError> {
        let definitions = self.definitions(tenant);
        let Some(view) = definitions.get(&name) else {
            let error = if names::is_builtin(&name) {
                OwnViewError::BuiltIn
            } else {
                OwnViewError::Unknown
            };
            return Err(error(name));
        };
        let readers: Vec<String> =
            definitions.readers(&name).into_iter().map(str::to_owned).collect();
        if !readers.is_empty() {
            return Err(OwnViewError::InUse { name, readers });
        }
        self.store.delete_own_view(tenant.0, &name).await?;
        let group = view.group;
        let rest = {
            let mut tenants = self.write();
            let definitions = tenants.entry(tenant).or_default();
            definitions.remove(&name);
            let rest = definitions.group(group);
            if definitions.all().is_empty() {
                tenants.remove(&tenant);
            }
            rest
        };
        if view.state == State::Filling {
            self.queue.cancel(tenant, group);
            if !rest.is_empty() {
                self.queue.push(tenant, group);
            }
        }
        self.settled.send_replace(());
        self.announce(tenant).await
    }
}

fn check_shown(view: &str, hidden_by: Option<&str>) -> Result<(), OwnViewError> {
    match hidden_by {
        None => Ok(()),
        Some(module) => {
            Err(OwnViewError::SwitchedOff { view: view.to_owned(), module: module.to_owned() })
        }
    }
}
