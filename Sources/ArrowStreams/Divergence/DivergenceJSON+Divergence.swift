// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import LogFormat

// A divergence and the records around it.
extension DivergenceJSON {
    func json(_ divergence: Divergence) -> JSONValue {
        let difference = divergence.difference
        let place: [JSONField] = [
            ("class", .optional(difference?.differenceClass.rawValue)), ("stream", .optional(difference?.stream.name)),
            ("original", position(divergence.original, divergence)),
            ("replay", position(divergence.replay, divergence)),
            ("isExact", difference.map { .flag($0.isExact) } ?? .null),
            ("fields", .list((difference?.fields ?? []).map(field))), ("endReason", .optional(divergence.endReason)),
        ]
        return .present(place + around(divergence.context) + before(divergence))
    }

    /// The records on both sides of the divergence.
    private func around(_ context: DivergenceContext) -> [JSONField] {
        [
            ("lastCommonBranches", .list(context.lastBranches.map { branch($0, original) })),
            ("lastCommonEvents", .list(context.lastEvents.map(event))),
            ("originalNext", next(context.original, original, context.commonFrames)),
            ("replayNext", next(context.replay, replay, context.commonFrames)),
            ("convergence", context.path?.meeting.map(convergence) ?? .null),
            ("branchesSearched", .counter(context.path?.branchesSearched ?? 0)),
            ("path", context.path.map(path) ?? .null),
        ]
    }

    /// What had happened before.
    private func before(_ divergence: Divergence) -> [JSONField] {
        let inputs = divergence.context.lastInputs
        return [
            ("callStack", stack(divergence.context.original.stack)), ("running", running(divergence)),
            ("lastInput", inputs.first.map { event($0.original) } ?? .null), ("lastInputs", .list(inputs.map(input))),
        ]
    }

    private func position(_ position: RunPosition, _ divergence: Divergence) -> JSONValue {
        .present([
            ("brctr", .counter(position.clock)), ("brctrLast", .counter(divergence.lastClock(of: position))),
            ("icount", .counter(position.icount)), ("ip", .address(position.ip)),
        ])
    }

    private func field(_ field: FieldDifference) -> JSONValue {
        .present([
            ("name", .text(field.name)), ("original", .optional(field.original.text)),
            ("replay", .optional(field.replay.text)),
        ])
    }

    private func running(_ divergence: Divergence) -> JSONValue {
        guard original.header.machine == .x86_64, let running = divergence.context.running else { return .null }
        return .present([
            ("address_space", .address(running.addressSpace)), ("stack_pointer", .address(running.stackPointer)),
            ("since", position(running.since, divergence)),
        ])
    }

    private func next(_ side: DivergenceContext.SideContext, _ log: LogFile, _ commonFrames: Int) -> JSONValue {
        .object([
            ("branches", .list(side.nextBranches.map { branch($0, log) })),
            ("events", .list(side.nextEvents.map(event))),
            ("calls", .list(side.laterFrames.dropFirst(commonFrames).reversed().map(frame))),
        ])
    }

    private func branch(_ branch: Branch, _ log: LogFile) -> JSONValue {
        .present([
            ("brctr", .counter(branch.clock)),
            ("icount", log.header.features.contains(.icount) ? .counter(branch.icount) : .null),
            ("from", .address(branch.from)), ("to", .address(branch.to)), ("label", .text(branch.label.name)),
            ("isDiscontinuity", .flag(branch.label.isDiscontinuity)),
        ])
    }

    private func event(_ event: Event) -> JSONValue {
        .present([
            ("brctr", .counter(event.clock)),
            ("icount", event.validity.contains(.icount) ? .counter(event.icount) : .null),
            ("stream", .text(event.stream.name)), ("kind", .text(event.kind.name)),
            ("ip", event.validity.contains(.ip) ? .address(event.ip) : .null), ("info", .number(Int(event.info))),
            ("address", .address(event.address)), ("values", .list(event.values.map { .address($0) })),
            ("details", .text(event.details { _ in "" })),
        ])
    }

    private func stack(_ stack: CallStack) -> JSONValue {
        let firmware = stack.firmwareFrames { _ in false }
        return .present([
            ("branchesSeen", .counter(stack.branchesSeen)), ("isComplete", .flag(stack.isComplete)),
            ("frames", .list(stack.frames.dropFirst(firmware).reversed().map(frame))),
            ("firmwareFrames", firmware > 0 ? .number(firmware) : .null),
        ])
    }

    private func frame(_ frame: CallFrame) -> JSONValue {
        let kind = frame.kind == .softwareInterrupt ? CallFrame.Kind.systemCall : frame.kind
        return .object([
            ("entry", .text(kind.name)), ("callSite", .address(frame.callSite)), ("target", .address(frame.target)),
            ("brctr", .counter(frame.clock)),
        ])
    }

    private func input(_ input: ConsumedInput) -> JSONValue {
        .present([
            ("original", event(input.original)), ("replay", input.replay.map(event) ?? .null),
            ("transitions", .counter(input.transitions)), ("instructions", .counter(input.instructions)),
            ("isDifferent", .flag(input.isDifferent)),
        ])
    }

    // MARK: Paths

    private func convergence(_ meeting: PathComparison.Meeting) -> JSONValue {
        .object([
            ("originalBranches", .counter(meeting.originalBranches)),
            ("replayBranches", .counter(meeting.replayBranches)), ("agreedBranches", .counter(meeting.agreed)),
            ("isOpenEnded", .flag(meeting.isOpenEnded)),
        ])
    }

    private func path(_ path: PathComparison) -> JSONValue {
        .present([
            ("agreedBefore", .counter(path.agreedBefore)), ("regions", .list(path.regions.map(region))),
            ("openRegion", path.openRegion.map(region) ?? .null), ("isCut", .flag(path.isCut)),
            ("originalDiffering", .counter(path.originalDiffering)),
            ("replayDiffering", .counter(path.replayDiffering)), ("agreedBranches", .counter(path.agreed)),
        ])
    }

    private func region(_ region: DifferingRegion) -> JSONValue {
        .present([
            ("originalFrom", .counter(region.original.lowerBound)),
            ("originalTo", .counter(region.original.upperBound)),
            ("replayFrom", .counter(region.replay.lowerBound)), ("replayTo", .counter(region.replay.upperBound)),
            ("clockShift", .difference(region.clockShift)), ("instructionShift", .difference(region.instructionShift)),
            ("isCounterSkew", .flag(region.isCounterSkew)), ("agreedBranches", .counter(region.agreed)),
        ])
    }
}
