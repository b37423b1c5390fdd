// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension TravelSession {
    /// Bytes of the stopped guest's physical memory; nil if some of them are not in it.
    ///
    /// Registers of devices and firmware are no memory.
    public func physicalMemory(at address: UInt64, count: Int) -> [UInt8]? {
        guard let start = Int(exactly: address) else { return nil }
        return side.memory.bytes(at: start, count: count)
    }

    /// Bytes of the stopped guest's memory at a virtual address, as its page tables map it now; nil if some of them are not
    /// mapped, or are no memory.
    ///
    /// - Throws: ``RunError`` if QEMU does not answer.
    public func memory(at address: UInt64, count: Int) throws(RunError) -> [UInt8]? {
        guard count >= 0, count <= side.memory.size else { return nil }
        if let tables = PageTables(try side.registers(), side.memory) {
            return tables.bytes(at: address, count: count, of: side.memory)
        }
        // Other modes: QEMU translates.
        var bytes: [UInt8] = []
        while bytes.count < count {
            let virtual = address &+ UInt64(bytes.count)
            let part = min(count - bytes.count, 4096 - Int(virtual & 4095))
            guard let place = try side.physicalAddress(of: virtual), let piece = physicalMemory(at: place, count: part)
            else { return nil }
            bytes += piece
        }
        return bytes
    }

    /// Keeps a checkpoint where the guest is, if QEMU can go back to it: later ways begin here. Needs ``keepCheckpoints()``.
    public func keepCheckpointHere() throws { try keepCheckpoint() }

    /// Ends QEMU. Without this call, it ends with the session.
    ///
    /// - Throws: ``RunError`` if QEMU does not end.
    public func quit() throws(RunError) { try side.quit() }

    /// Throws ``RunError`` if a signal has ended QEMU.
    public func checkEngine() throws(RunError) { try side.checkProcess() }

    /// Whether physical addresses are memory or firmware, which a read does not change. The others are devices': below 1 MiB the
    /// display's window, and from the end of the memory up to the firmware below 4 GiB.
    func isMemory(physical address: UInt64, count: UInt64) -> Bool {
        let (end, overflow) = address.addingReportingOverflow(count)
        if overflow { return false }
        if address >= 0xffc0_0000 { return end <= 1 << 32 }
        return end <= UInt64(side.memory.size) && (end <= 0xa_0000 || address >= 0xc_0000)
    }
}
