// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// The branches of a log, and which of them are wanted: by the simplest means there are.
struct BranchOracle {
    let branches: [Branch]

    init(_ path: String, vcpu: UInt16 = 0) throws {
        var cursor = try LogFile(path: path).branches(vcpu: vcpu)
        var all: [Branch] = []
        while let branch = cursor.next() { all.append(branch) }
        branches = all
    }

    /// Whether a branch reaches an address: it goes there, or ends the run of instructions that contains the address.
    private func reaches(_ index: Int, _ address: UInt64) -> Bool {
        let branch = branches[index]
        if branch.to == address { return true }
        guard index > 0, branches[index - 1].clock + 1 == branch.clock else { return branch.from == address }
        return branches[index - 1].to < address && address <= branch.from
    }

    /// What `--from` and `--to` select.
    func between(_ from: (address: UInt64, brctr: UInt64), _ to: (address: UInt64, brctr: UInt64)?) -> [Branch] {
        let isStart = { branches[$0].clock >= from.brctr && reaches($0, from.address) }
        guard let start = branches.indices.first(where: isStart) else { return [] }
        guard let to else { return Array(branches[start...]) }
        let isEnd = { $0 > start && branches[$0].clock >= to.brctr && reaches($0, to.address) }
        let end = branches.indices.first(where: isEnd) ?? branches.endIndex - 1
        return Array(branches[start...end])
    }

    /// The addresses of branches that belong to a function, inlined copies included, as eu-addr2line names them.
    func addresses(in function: String, program: String) throws -> Set<UInt64> {
        let all = Set(branches.flatMap { [$0.from, $0.to] }).sorted()
        let directory = try TemporaryDirectory()
        let list = directory.file("addresses")
        try all.map { "0x" + String($0, radix: 16) }.joined(separator: "\n").write(
            toFile: list, atomically: true, encoding: .utf8)
        let result = try Tool(path: "/bin/sh").run(["-c", "eu-addr2line -a -f -i -e '\(program)' < '\(list)'"])
        var found: Set<UInt64> = []
        var address: UInt64 = 0
        for line in result.output.split(separator: "\n") {
            if line.hasPrefix("0x"), let number = UInt64(line.dropFirst(2), radix: 16) {
                address = number
            } else if line == function || line.hasPrefix(function + " inlined at ") {
                found.insert(address)
            }
        }
        return found
    }
}

extension ToolResult {
    /// The branch counters of rows in csv without a log column.
    var counters: [UInt64] {
        output.split(separator: "\n").dropFirst().compactMap { row in
            let fields = row.split(separator: ",", omittingEmptySubsequences: false)
            return fields.count > 1 ? UInt64(fields[1]) : nil
        }
    }
}
