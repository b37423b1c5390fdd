// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The vCPUs of all domains in a file of `xentrace`, and which of them each processor runs.
///
/// Records carry no domain. It follows from the records of the scheduler: a switch names the next vCPU, and a vCPU whose
/// new state is *running* runs on the processor that wrote it. Before a processor's first such record, and after lost ones,
/// its vCPU is not known.
struct XenTraceLanes {
    /// A vCPU of a domain; or a processor while its vCPU is not known.
    struct Key: Hashable {
        var domain: UInt32
        var vcpu: UInt32

        /// The domain of a processor whose vCPU is not known; `vcpu` is then the processor.
        static let unknownDomain: UInt32 = .max
        /// The domain of the idle vCPUs.
        static let idleDomain: UInt32 = 0x7fff

        /// The name in an attribute: `domain 1 vcpu 0`.
        var title: String {
            switch domain {
            case Key.unknownDomain: "processor \(vcpu), domain not known"
            case Key.idleDomain: "idle vcpu \(vcpu)"
            default: "domain \(domain) vcpu \(vcpu)"
            }
        }
    }

    /// The vCPUs, in the order of appearance; their indexes are those of the log.
    private(set) var list: [Key] = []
    /// Records of vCPUs after the 256th.
    private(set) var leftOut: UInt64 = 0
    private var indexes: [Key: Int] = [:]
    private var running: [UInt32: Key] = [:]

    /// The vCPU of a record, which is added if it is new; nil if there are too many.
    mutating func index(of record: XenTraceRecord) -> Int? {
        if let next = XenTraceLanes.next(record) { running[record.cpu] = next }
        let key = running[record.cpu] ?? Key(domain: Key.unknownDomain, vcpu: record.cpu)
        if let known = indexes[key] { return known }
        guard list.count < Int(TTLOG_VCPU_MAX) else {
            leftOut &+= 1
            return nil
        }
        indexes[key] = list.count
        list.append(key)
        return list.count - 1
    }

    /// The vCPUs that may have made records that a processor lost: the one that the record names, and the one before it.
    mutating func lose(_ record: XenTraceRecord) -> [Int] {
        let before = running[record.cpu]
        let named = Key(domain: record[1] & 0xffff, vcpu: record[1] >> 16)
        running[record.cpu] = record.wordCount >= 2 ? named : nil
        return (before == named ? [named] : [before, named].compactMap { $0 }).compactMap { indexes[$0] }
    }

    /// The vCPU that a record of the scheduler names as running from here on; nil for other records.
    private static func next(_ record: XenTraceRecord) -> Key? {
        switch record.event {
        case XenTraceRecord.schedSwitch where record.wordCount >= 4: return Key(domain: record[2], vcpu: record[3])
        // Older versions have three words, without the vCPU.
        case XenTraceRecord.schedSwitchNext where record.wordCount >= 4: return Key(domain: record[0], vcpu: record[1])
        default: break
        }
        // Bits 4 to 7: the new state, 0 is running; bits 8 to 11: the old one.
        guard record.event & ~0xff0 == XenTraceRecord.runstateChange, record.event & 0xf0 == 0, record.wordCount >= 1
        else {
            return nil
        }
        return Key(domain: record[0] >> 16, vcpu: record[0] & 0xffff)
    }
}
