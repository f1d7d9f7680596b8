//! The contract's optional `handover`: found in a component when it is compiled, called in its instances.

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, TypedFunc};

use crate::host::HostState;

/// Where a component exports it.
#[derive(Clone)]
pub(crate) struct Exported {
    save: ComponentExportIndex,
    restore: ComponentExportIndex,
}

/// What `restore` answers.
type Restored = (Result<(), String>,);

/// In an instance.
pub(crate) struct Handover {
    pub(crate) save: TypedFunc<(), (Vec<u8>,)>,
    pub(crate) restore: TypedFunc<(String, Vec<u8>), Restored>,
}

impl Exported {
    /// In a component that exports `interface`, by its full name.
    pub fn find(component: &Component, interface: &str) -> Option<Self> {
        let interface = component.get_export_index(None, interface)?;
        let of = |name| component.get_export_index(Some(&interface), name);
        Some(Self { save: of("save")?, restore: of("restore")? })
    }

    /// In an instance of that component; an error where its types are not the contract's.
    pub fn of(&self, store: &mut Store<HostState>, instance: &Instance) -> wasmtime::Result<Handover> {
        let save = instance.get_typed_func(&mut *store, self.save)?;
        Ok(Handover { save, restore: instance.get_typed_func(store, self.restore)? })
    }
}
