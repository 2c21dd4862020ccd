//! Choosing camera, microphone and loudspeaker: the list, and what becomes of a choice.

use super::say;
use crate::devices::{DeviceKind, DeviceMenu};
use crate::effect::Effect;
use crate::model::{Model, Overlay};
use crate::text;

/// Opens the list of a kind; the names are looked for meanwhile.
pub(super) fn open(model: &mut Model, kind: DeviceKind, effects: &mut Vec<Effect>) {
    let setting = match model.overlay {
        Some(Overlay::Settings(at)) => at,
        _ => 0,
    };
    model.overlay = Some(Overlay::Devices(DeviceMenu {
        kind,
        names: None,
        chosen: 0,
        setting,
    }));
    effects.push(Effect::ListDevices(kind));
}

/// These devices are there. What is in use is chosen in the list, unless the user has moved already.
pub(super) fn listed(model: &mut Model, kind: DeviceKind, names: Vec<String>) {
    let current = model.chosen_device(kind).map(str::to_owned);
    let Some(Overlay::Devices(menu)) = &mut model.overlay else {
        return;
    };
    if menu.kind != kind {
        return;
    }
    let is_first = menu.names.replace(names).is_none();
    let lines = menu.lines();
    if is_first && menu.chosen == 0 {
        let at = lines.iter().position(|line| line.spec() == current);
        menu.chosen = at.unwrap_or(0);
    }
    menu.chosen = menu.chosen.min(lines.len() - 1);
}

/// Enter in the list.
pub(super) fn confirm(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Devices(menu)) = &model.overlay else {
        return;
    };
    let (kind, setting) = (menu.kind, menu.setting);
    let lines = menu.lines();
    let line = &lines[menu.chosen.min(lines.len() - 1)];
    let spec = line.spec();
    model.overlay = Some(Overlay::Settings(setting));
    choose(model, kind, spec, effects);
}

/// Esc: back to the settings; false where the list is not open.
pub(super) fn close(model: &mut Model) -> bool {
    let Some(Overlay::Devices(menu)) = &model.overlay else {
        return false;
    };
    model.overlay = Some(Overlay::Settings(menu.setting));
    true
}

/// Uses this device from now on, and remembers it; `None`: the usual one.
pub(super) fn choose(
    model: &mut Model,
    kind: DeviceKind,
    spec: Option<String>,
    effects: &mut Vec<Effect>,
) {
    kind.remembered(&mut model.settings).clone_from(&spec);
    model.layers.devices_chosen[kind.index()] = true;
    effects.push(Effect::SaveSettings(model.settings.clone()));
    effects.push(Effect::UseDevice(kind, spec));
    let is_in_call = model.live_calls().any(|call| call.is_connected());
    say(model, text::device_chosen(kind, is_in_call));
}

/// What was remembered, as read at the start.
pub(super) fn use_remembered(model: &Model, effects: &mut Vec<Effect>) {
    for kind in DeviceKind::ALL {
        if let Some(spec) = model.chosen_device(kind) {
            effects.push(Effect::UseDevice(kind, Some(spec.to_owned())));
        }
    }
}
