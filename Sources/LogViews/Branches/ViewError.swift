// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Why a view of some inputs cannot be made, or is not complete.
public enum ViewError: Error, Hashable {
    /// The log at `path` was recorded in a mode without branches.
    case noBranches(path: String, mode: String)
    /// The input at `path` has no vCPU of that number; it has those in `present`.
    case noVCPU(path: String, vcpu: UInt16, present: [UInt16])
    /// Two inputs ran on different processors (`unknown` if it is not known), so that one set of symbol files cannot
    /// name both.
    case differentMachines(path: String, machine: Machine, otherPath: String, other: Machine)
    /// The branches of the input at `path` have no classes, which the view needs.
    case noLabels(path: String)
    /// All of the selected records were left out by the recorder (mode digest).
    case allElided(records: UInt64)
    /// More distinct things were seen than a view counts; `leftOut` records are not among its rows.
    case tooMany(what: String, limit: Int, leftOut: UInt64)
    /// No selected branch is of the program at `path`.
    case neverRan(path: String)
}

extension ViewError: CustomStringConvertible {
    /// One sentence without a final period.
    public var description: String {
        switch self {
        case .noBranches(let path, let mode): "\(path): holds no branches (mode \(mode))"
        case .noVCPU(let path, let vcpu, let present):
            "\(path): has no vCPU \(vcpu); it has \(present.map(String.init).joined(separator: ", "))"
        case .differentMachines(let path, let machine, let otherPath, let other):
            "\(path): ran on \(machine), \(otherPath) on \(other); symbol files are of one of them"
        case .noLabels(let path): "\(path): has no classes of branches"
        case .allElided(let records): "nothing to show: the recorder left out all \(records) branches (mode digest)"
        case .tooMany(let what, let limit, let leftOut):
            "there are more than \(limit) distinct \(what); \(leftOut) after these are not counted"
        case .neverRan(let path): "\(path): never ran in the selected part"
        }
    }
}
