// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// When each address space was in use, from the context events of a log.
///
///     let spaces = try AddressSpaces(log)
///     print(spaces.space(at: 1_179_553) ?? 0)
///
/// An address space is named by the address of its page tables: cr3 without the bits that are no address. Where a part of the log
/// is damaged, changes may lack: ``warning`` names it, and the address space before it counts as in use.
struct AddressSpaces {
    /// A change to another address space.
    private struct Change {
        /// Transitions before it.
        var clock: UInt64
        var space: UInt64
    }

    /// Ascending.
    private var changes: [Change] = []
    /// Damaged parts of the log in which changes may have been; nil if there are none.
    let warning: String?

    /// - Throws: ``PlaceError`` if the log has no context events.
    init(_ log: LogFile) throws {
        guard log.header.features.contains(.context) else {
            throw PlaceError(
                "\(log.path): the log has no context events, which show what process runs; QEMU 10.0 logs them"
            )
        }
        var events = log.events()
        while let event = events.next() {
            guard event.kind == .context, let word = event.value(0) else { continue }
            let space = AddressSpaces.name(word)
            if changes.last?.space != space { changes.append(Change(clock: event.clock, space: space)) }
        }
        let damage = log.structuralDamage + events.skipped
        warning = damage.first.map { first in
            let parts = damage.count == 1 ? "a part of the log is" : "\(damage.count) parts of the log are"
            return "\(parts) damaged, switches between processes may lack there (\(first))"
        }
    }

    /// The address of the page tables in cr3: bits 12 to 51.
    static func name(_ cr3: UInt64) -> UInt64 { cr3 & 0x000f_ffff_ffff_f000 }

    /// Whether the log shows that an address space was ever in use.
    func contains(_ space: UInt64) -> Bool { changes.contains { $0.space == space } }

    /// The number of changes that come at or before so many transitions.
    private func count(upTo brctr: UInt64) -> Int {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].clock <= brctr { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The address space after so many transitions; nil before the first change.
    func space(at brctr: UInt64) -> UInt64? {
        let count = count(upTo: brctr)
        return count > 0 ? changes[count - 1].space : nil
    }

    /// Transitions before the last end of an address space's use that comes before so many transitions.
    func lastEnd(of space: UInt64, before brctr: UInt64) -> UInt64? {
        let count = count(upTo: brctr)
        for index in stride(from: count - 2, through: 0, by: -1) where changes[index].space == space {
            return changes[index + 1].clock
        }
        return nil
    }

    /// Transitions before the next beginning of an address space's use that comes at or after so many transitions.
    func nextStart(of space: UInt64, from brctr: UInt64) -> UInt64? {
        let first = brctr == 0 ? 0 : count(upTo: brctr - 1)
        return changes[first...].first { $0.space == space }?.clock
    }
}
