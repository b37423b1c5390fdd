// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The columns of a stream of branches.
enum BranchColumn: String, CaseIterable {
    case brctr, icount, vcpu, epoch, from, to, kind

    func definition(isPlain: Bool) -> ColumnDefinition {
        switch self {
        case .brctr: .init(rawValue, unit: "transitions", "transitions of the vCPU before the branch")
        case .icount:
            .init(rawValue, unit: "instructions", "instructions begun before the one at `to`; null without counts")
        case .vcpu: .init(rawValue, .int32, "the vCPU")
        case .epoch: .init(rawValue, .int32, "number of the stretch without a gap, from 0")
        case .from: .init(rawValue, isCode: true, "address of the instruction that the branch left")
        case .to: .init(rawValue, isCode: true, "address of the instruction that began next")
        case .kind:
            .init(
                rawValue, isPlain ? .text : .name,
                "class of the instruction at `from`, with ! if its static target is `to`")
        }
    }

    /// The columns of a batch that give its values.
    var decoded: BranchBatch.Columns {
        switch self {
        case .from: .from
        case .to: .to
        case .icount: .icount
        case .kind: .label
        case .brctr, .vcpu, .epoch: []
        }
    }
}

/// The names of all labels: the dictionary of the column `kind`. Names are unique, since some consumers refuse others.
enum LabelNames {
    static let all: [String] = (0...255).map { number in
        let label = BranchLabel(rawValue: UInt8(number))
        // A number that this reader does not know has the name of a known one: its own number tells them apart.
        return BranchLabel(name: label.name) == label ? label.name : "unknown-\(number)"
    }

    static let dictionary: DictionaryColumn = {
        var builder = ColumnBuilder(.text)
        for name in all { builder.append(name) }
        return DictionaryColumn(builder.finish())
    }()
}

extension DictionaryColumn: @unchecked Sendable {}
