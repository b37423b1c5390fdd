// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews
import Symbolize
import ToolSupport

/// `--from`, `--to`, `--function`, `--kind`, `--vcpu`.
struct SelectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Begin at the first branch that reaches PLACE: SYMBOL[+OFFSET], an address with 0x, or a branch counter. With "
                + ":BRCTR, the first one at or after that counter.",
            valueName: "place[:brctr]"))
    var from: PlaceArgument?

    @Option(
        help: ArgumentHelp(
            "End with the next branch that reaches PLACE; a branch counter itself is not included.",
            valueName: "place[:brctr]"))
    var to: PlaceArgument?

    @Option(
        help: ArgumentHelp(
            "Begin N branches before the one that reaches --from; without it, the N branches before the one that "
                + "reaches --to.", valueName: "n"))
    var before: NumberArgument?

    @Option(
        name: .customLong("function"),
        help: ArgumentHelp(
            "Only branches from or to this function, its inlined copies included (with --instructions: only instructions "
                + "there); may be repeated.", valueName: "name"))
    var functions: [String] = []

    @Option(
        name: .customLong("kind"),
        help: ArgumentHelp(
            "Only branches of this class (as rows show it), or discontinuity: those that no branch instruction explains; "
                + "may be repeated.", valueName: "kind"))
    var kinds: [BranchKind] = []

    @Option(help: ArgumentHelp("Only this vCPU. (default: all, one after the other)", valueName: "n"))
    var vcpu: UInt16?

    /// The names of functions and symbols in these options.
    private var names: [String] {
        functions
            + [from, to].compactMap { if case .symbol(let name)? = $0?.target { name } else { nil } }
    }

    /// Applies the selection to a walk whose bounds are those of `--range`.
    func apply(to walk: inout BranchWalk, _ symbolizer: Symbolizer?) throws {
        walk.vcpu = vcpu
        if let name = names.first, symbolizer == nil {
            throw RuntimeError("\(name): is a name; --symbols FILE gives its address")
        }
        var selection = BranchSelection()
        for kind in kinds { selection.addLabels(where: kind.contains) }
        if !kinds.isEmpty, let input = walk.views.first(where: { !$0.hasLabels }) {
            throw RuntimeError("\(ViewError.noLabels(path: input.path)); --kind cannot select any")
        }
        if let from {
            // For an address, one branch earlier: the run of instructions that the first branch ends begins there.
            let begin = from.target == .counter || from.brctr == 0 ? from.brctr : from.brctr - 1
            if before == nil || from.target == .counter { walk.limits.from = begin }
            if from.target == .counter, let before { walk.limits.from -= min(begin, before.value) }
            selection.from = try place(from, symbolizer)
        }
        if let to {
            if to.target == .counter { walk.limits.to = to.brctr }
            selection.to = try place(to, symbolizer)
        }
        if let symbolizer, !functions.isEmpty {
            selection.functions = try functionRanges(symbolizer)
        }
        // A counter needs no search.
        if from?.target != .counter { selection.before = before?.value }
        walk.selection = selection
    }

    func validate() throws {
        if before != nil && from == nil && to == nil {
            throw ValidationError("--before is valid with --from or --to only.")
        }
    }

    /// The addresses of `--function`; empty if it is not given.
    func functionRanges(_ symbolizer: Symbolizer) throws -> AddressRanges {
        AddressRanges(
            try functions.flatMap { name in
                let found = symbolizer.functionRanges(named: name)
                guard !found.isEmpty else { throw unknown(name, name, symbolizer) }
                return found
            })
    }

    private func place(_ place: PlaceArgument, _ symbolizer: Symbolizer?) throws -> BranchSelection.Place? {
        let addresses: [UInt64]
        switch place.target {
        case .counter: return nil
        case .address(let address): addresses = [address]
        case .symbol(let name):
            guard let symbolizer else { return nil }
            addresses = symbolizer.resolve(name: name).map(\.lowerBound)
            if addresses.isEmpty {
                let symbol = name.split(separator: "+").first.map(String.init) ?? name
                throw unknown(name, symbol, symbolizer)
            }
        }
        return BranchSelection.Place(text: place.text, addresses: addresses, brctr: place.brctr)
    }

    /// - Parameter symbol: The symbol in `asked`.
    private func unknown(_ asked: String, _ symbol: String, _ symbolizer: Symbolizer) -> RuntimeError {
        if symbol != asked, let range = symbolizer.resolve(name: symbol).max(by: { $0.count < $1.count }) {
            return RuntimeError("\(asked): \(symbol) has only \(range.count) bytes")
        }
        let near = symbolizer.names(near: symbol)
        let hint = near.isEmpty ? "" : "; there is \(near.joined(separator: ", "))"
        return RuntimeError("\(asked): no function of that name in the --symbols files\(hint)")
    }
}

/// `--kind`: a class of branches, or those that no branch instruction explains.
enum BranchKind: ExpressibleByArgument {
    case branchClass(BranchClass)
    case discontinuity

    init?(argument: String) {
        if argument == "discontinuity" {
            self = .discontinuity
        } else if let found = BranchClass.allCases.first(where: { $0.name == argument }) {
            self = .branchClass(found)
        } else {
            return nil
        }
    }

    static var allValueStrings: [String] { BranchClass.allCases.map(\.name) + ["discontinuity"] }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    func contains(_ label: BranchLabel) -> Bool {
        switch self {
        case .branchClass(let wanted): label.branchClass == wanted
        case .discontinuity: label.isDiscontinuity
        }
    }
}
