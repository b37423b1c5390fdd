// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import Formatting
import LogFormat

extension DocumentMaker {
    func item(_ divergence: Divergence) -> DivergenceDocument.DivergenceItem {
        let context = divergence.context
        return DivergenceDocument.DivergenceItem(
            original: item(divergence.original, .original, divergence),
            replay: item(divergence.replay, .replay, divergence), guestAt: guestAt(divergence),
            isExact: divergence.difference?.isExact,
            fields: (divergence.difference?.fields ?? []).map(item), endReason: divergence.endReason,
            lastCommonBranches: context.lastBranches.map { item($0, .original) },
            lastCommonEvents: context.lastEvents.map { item($0, .original) },
            originalNext: item(context.original, .original, context.commonFrames),
            replayNext: item(context.replay, .replay, context.commonFrames),
            convergence: context.path.flatMap(convergence),
            branchesSearched: Counter(context.path?.branchesSearched ?? 0),
            callStack: item(context.original.stack, .original),
            running: running(divergence),
            lastInput: context.lastInputs.first.map { item($0.original, .original) },
            lastInputs: context.lastInputs.map(item), path: context.path.map(item),
            causes: CauseFinder(alignment: alignment, original: original, replay: replay).causes(divergence),
            decidedBy: decision(divergence), sourceListing: sourceListing(divergence), window: window(divergence))
    }

    /// The guest's last place before records that do not show it: they have no address (a foreign write, a digest of memory),
    /// or the source of theirs is not known (a page for hypercalls).
    private func guestAt(_ divergence: Divergence) -> DivergenceDocument.Position? {
        let sides = [(divergence.original, Side.original), (divergence.replay, .replay)]
        guard divergence.difference?.isExact == true, !original.log.header.features.contains(.branches),
            !sides.contains(where: { position, side in position.ip.map { names(side).sources($0) != nil } ?? false })
        else { return nil }
        let events = divergence.context.lastEvents.filter { $0.validity.contains(.ip) }
        let hasAddress = sides.contains { position, _ in position.ip != nil }
        guard
            let event = events.last(where: { names(.original).sources($0.ip) != nil })
                ?? (hasAddress ? nil : events.last)
        else { return nil }
        let icount = event.validity.contains(.icount) ? event.icount : nil
        return item(RunPosition(clock: event.clock, icount: icount, ip: event.ip), .original, divergence)
    }

    /// The decision about the branch that differs, if the divergence is one of control flow.
    private func decision(_ divergence: Divergence) -> DivergenceDocument.DecisionItem? {
        guard case .controlFlow(.path) = divergence.verdict, let difference = divergence.difference,
            let code = original.code
        else { return nil }
        let clock = difference.clock
        let first = clock > DecisionMaker.reach ? clock - DecisionMaker.reach : 0
        var cursor = original.log.branches(vcpu: divergence.vcpu, from: first, to: clock)
        var last: [Branch] = []
        while let branch = cursor.next() { last.append(branch) }
        return DecisionMaker(code: code, names: names(.original)).decision(difference, last)
    }

    private func item(
        _ position: RunPosition, _ side: Side, _ divergence: Divergence
    ) -> DivergenceDocument.Position {
        let names = names(side)
        return DivergenceDocument.Position(
            brctr: Counter(position.clock), brctrLast: divergence.lastClock(of: position).map(Counter.init(_:)),
            icount: position.icount.map(Counter.init(_:)),
            ip: position.ip.map(HexWord.init(_:)), symbol: position.ip.flatMap(names.symbol),
            linkageName: position.ip.flatMap(names.linkageName),
            source: position.ip.flatMap(names.sources), inlinedInto: position.ip.flatMap(names.inlinedInto))
    }

    /// Whose code runs at the divergence: from the last context event, and from the entry into the kernel that is open.
    private func running(_ divergence: Divergence) -> DivergenceDocument.RunningItem? {
        let context = divergence.context
        guard original.log.header.machine == .x86_64 else { return nil }
        var item = DivergenceDocument.RunningItem(
            addressSpace: context.running.map { HexWord($0.addressSpace) },
            stackPointer: context.running?.stackPointer.map(HexWord.init(_:)),
            since: context.running.map { self.item($0.since, .original, divergence) })
        // Some kernels are in the lower half: a switch of the address space is code of the kernel.
        let kernelIsHigh = context.running?.since.ip.map { $0 >> 63 != 0 } ?? false
        if let ip = divergence.original.ip, ip >> 63 != 0 || kernelIsHigh {
            item.mode = ip >> 63 == 0 ? .user : .kernel
        }
        var place: RunPosition?
        if item.mode == .user {
            place = divergence.original
        } else if let entry = context.original.stack.frames.last(where: \.isEntryFromUser) {
            place = RunPosition(clock: entry.clock, icount: entry.icount, ip: entry.callSite)
        }
        if let place {
            item.user = self.item(place, .original, divergence)
            item.program = place.ip.flatMap(names(.original).file)
        }
        return item.addressSpace == nil && item.user == nil ? nil : item
    }

    private func item(_ field: FieldDifference) -> DivergenceDocument.Field {
        DivergenceDocument.Field(
            name: field.name, original: field.original.text, replay: field.replay.text,
            originalSymbol: field.original.address.flatMap(names(.original).symbol),
            originalLinkageName: field.original.address.flatMap(names(.original).linkageName),
            replaySymbol: field.replay.address.flatMap(names(.replay).symbol),
            replayLinkageName: field.replay.address.flatMap(names(.replay).linkageName))
    }

    private func item(
        _ context: DivergenceContext.SideContext, _ side: Side, _ commonFrames: Int
    ) -> DivergenceDocument.Next {
        DivergenceDocument.Next(
            branches: context.nextBranches.map { item($0, side) }, events: context.nextEvents.map { item($0, side) },
            calls: context.laterFrames.dropFirst(commonFrames).reversed().map { item($0, side) })
    }

    private func item(_ branch: Branch, _ side: Side) -> DivergenceDocument.BranchItem {
        let hasIcount = run(side).log.header.features.contains(.icount)
        let names = names(side)
        return DivergenceDocument.BranchItem(
            brctr: Counter(branch.clock), icount: hasIcount ? Counter(branch.icount) : nil, from: HexWord(branch.from),
            to: HexWord(branch.to), label: branch.label.name, isDiscontinuity: branch.label.isDiscontinuity,
            fromSymbol: names.symbol(branch.from), fromLinkageName: names.linkageName(branch.from),
            toSymbol: names.symbol(branch.to), toLinkageName: names.linkageName(branch.to),
            source: names.source(branch.from), toSource: names.source(branch.to))
    }

    func item(_ event: Event, _ side: Side) -> DivergenceDocument.EventItem {
        let ip = event.validity.contains(.ip) ? event.ip : nil
        let names = names(side)
        return DivergenceDocument.EventItem(
            brctr: Counter(event.clock), icount: event.validity.contains(.icount) ? Counter(event.icount) : nil,
            stream: event.stream.name, kind: event.kind.name, ip: ip.map(HexWord.init(_:)),
            symbol: ip.flatMap(names.symbol), linkageName: ip.flatMap(names.linkageName), info: event.info,
            address: event.address.map(HexWord.init(_:)),
            values: event.values.map(HexWord.init(_:)),
            details: event.details { ShortName.suffix(names.symbol($0)) })
    }

    private func item(_ stack: CallStack, _ side: Side) -> DivergenceDocument.Stack {
        let names = names(side)
        let firmware = stack.firmwareFrames { names.symbol($0) != nil }
        return DivergenceDocument.Stack(
            branchesSeen: Counter(stack.branchesSeen), isComplete: stack.isComplete,
            frames: stack.frames.dropFirst(firmware).reversed().map { item($0, side) },
            firmwareFrames: firmware > 0 ? firmware : nil)
    }

    private func item(_ frame: CallFrame, _ side: Side) -> DivergenceDocument.Stack.Frame {
        let names = names(side)
        return DivergenceDocument.Stack.Frame(
            entry: DivergenceDocument.Stack.Entry(frame.kind), callSite: HexWord(frame.callSite),
            callSiteSymbol: names.symbol(frame.callSite), callSiteLinkageName: names.linkageName(frame.callSite),
            source: names.source(frame.callSite),
            target: HexWord(frame.target), targetSymbol: names.symbol(frame.target),
            targetLinkageName: names.linkageName(frame.target), brctr: Counter(frame.clock))
    }

    private func item(_ input: ConsumedInput) -> DivergenceDocument.InputItem {
        DivergenceDocument.InputItem(
            original: item(input.original, .original), replay: input.replay.map { item($0, .replay) },
            transitions: Counter(input.transitions), instructions: input.instructions.map(Counter.init(_:)),
            isDifferent: input.isDifferent)
    }
}

// MARK: - Paths
extension DocumentMaker {
    fileprivate func item(_ path: PathComparison) -> DivergenceDocument.PathItem {
        DivergenceDocument.PathItem(
            agreedBefore: Counter(path.agreedBefore), regions: path.regions.map(item),
            openRegion: path.openRegion.map(item), isCut: path.isCut,
            originalDiffering: Counter(path.originalDiffering), replayDiffering: Counter(path.replayDiffering),
            agreedBranches: Counter(path.agreed))
    }

    private func item(_ region: DifferingRegion) -> DivergenceDocument.RegionItem {
        DivergenceDocument.RegionItem(
            originalFrom: Counter(region.original.lowerBound), originalTo: Counter(region.original.upperBound),
            replayFrom: Counter(region.replay.lowerBound), replayTo: Counter(region.replay.upperBound),
            clockShift: Distance(region.clockShift), instructionShift: region.instructionShift.map(Distance.init(_:)),
            isCounterSkew: region.isCounterSkew, agreedBranches: Counter(region.agreed))
    }

    fileprivate func convergence(_ path: PathComparison) -> DivergenceDocument.ConvergenceItem? {
        path.meeting.map { meeting in
            DivergenceDocument.ConvergenceItem(
                originalBranches: Counter(meeting.originalBranches), replayBranches: Counter(meeting.replayBranches),
                agreedBranches: Counter(meeting.agreed), isOpenEnded: meeting.isOpenEnded)
        }
    }
}

extension DivergenceDocument.Stack.Entry {
    init(_ kind: CallFrame.Kind) {
        switch kind {
        case .call: self = .call
        case .interruption: self = .interruption
        case .systemCall, .softwareInterrupt: self = .systemCall
        case .start: self = .start
        }
    }
}

extension FieldDifference.Value {
    /// The code address, if the value is one.
    var address: UInt64? {
        if case .address(let value) = self { value } else { nil }
    }
}
