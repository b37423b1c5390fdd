// SPDX-License-Identifier: GPL-2.0-or-later

/// The layout of the records in a log of XenTT (`struct ttd_rec`), which differs from build to build.
///
/// The header that defines the structure is not public: the layout comes from the debug information of a binary that
/// uses it.
public struct RecordLayout: Sendable, Hashable {
    /// A number in a record.
    public struct Member: Sendable, Hashable {
        /// Bytes from the beginning of the record.
        public var offset: Int
        /// Its bytes, 1 to 8, little-endian.
        public var size: Int
        /// The bits of the bytes that hold the number, if not all do.
        public var bits: Range<Int>?

        /// Makes a description of a member.
        public init(offset: Int, size: Int, bits: Range<Int>? = nil) {
            self.offset = offset
            self.size = size
            self.bits = bits
        }
    }

    /// Bytes of a record, which is a slot of the ring.
    public let size: Int
    /// The names of event kinds, by their number.
    public let eventNames: [UInt64: String]
    let dataLength, event, domain, vcpu, brctr, ip: Member
    let info, rcx, tsc: Member?
    /// The record's own part of the data.
    let data: Range<Int>

    /// Finds the members that an import needs.
    ///
    /// - Parameters:
    ///   - file: The binary that the layout is from, for errors.
    ///   - size: Bytes of a record.
    ///   - members: All members by their dotted names, `cpu_state.ip`; an array is one member with all its bytes.
    ///   - eventNames: The names of event kinds, by their number.
    /// - Throws: ``LogError`` that names a member which is missing or outside of the record.
    public init(
        file: String, size: Int, members: [(name: String, member: Member)], eventNames: [UInt64: String]
    ) throws(LogError) {
        func failure(_ text: String) -> LogError { LogError(file: file, kind: .invalidRequest(text)) }
        guard (16...RecordLayout.sizeLimit).contains(size) else {
            throw failure("records of \(size) bytes: 16 to \(RecordLayout.sizeLimit) expected")
        }
        func find(_ names: [String]) -> Member? {
            for name in names {
                let isNamed: ((name: String, member: Member)) -> Bool = {
                    $0.name == name || $0.name.hasSuffix(".\(name)")
                }
                if let found = members.first(where: isNamed) { return found.member }
            }
            return nil
        }
        func number(_ names: String...) throws(LogError) -> Member {
            guard let member = find(names) else { throw failure("the record has no member \(names[0])") }
            guard member.isInside(size) else { throw failure("member \(names[0]) is no number inside of the record") }
            return member
        }
        func optional(_ names: String...) -> Member? { find(names).flatMap { $0.isInside(size) ? $0 : nil } }
        self.size = size
        self.eventNames = eventNames
        dataLength = try number("data_len")
        event = try number("event.event", "event")
        domain = try number("domid")
        vcpu = try number("vcpu_id")
        brctr = try number("brctr_virt", "brctr")
        ip = try number("cpu_state.ip", "cpu_state.rip", "cpu_state.eip", "ip")
        info = optional("event.info", "info")
        rcx = optional("cpu_state.cx", "cpu_state.rcx", "cpu_state.ecx", "cx")
        tsc = optional("tsc")
        guard let area = find(["data"]), area.offset >= 0, area.offset < size else {
            throw failure("the record has no member data")
        }
        // A flexible array has no size; it ends with the record.
        let bytes = area.size > 0 && area.size <= size - area.offset ? area.size : size - area.offset
        data = area.offset..<area.offset + bytes
    }

    private static let sizeLimit = 1 << 16
}

extension RecordLayout.Member {
    fileprivate func isInside(_ record: Int) -> Bool {
        guard (1...8).contains(size), offset >= 0, offset <= record - size else { return false }
        guard let bits else { return true }
        return bits.lowerBound >= 0 && !bits.isEmpty && bits.upperBound <= size * 8
    }

    /// The number in a record.
    func value(in record: UnsafeRawBufferPointer) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<size { value |= UInt64(record[offset &+ index]) << UInt64(8 &* index) }
        guard let bits else { return value }
        return value >> UInt64(bits.lowerBound) & (bits.count >= 64 ? .max : (1 << UInt64(bits.count)) - 1)
    }
}
