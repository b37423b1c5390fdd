// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The file in which the window plugin logs instructions and memory accesses, mapped (hypervisor/qemu/window/window_log.h).
///
/// Its contents are valid while the guest is paused.
public final class WindowLog {
    /// Instructions that can be translated, and 8-byte words of the stream.
    public struct Capacity: Sendable {
        /// Translated instructions.
        public var sites = 1 << 17
        /// Words; an instruction takes two on average.
        public var words: Int

        /// Room for so many instructions.
        public init(instructions: Int) { words = 4 * instructions + (1 << 16) }

        var bytes: Int { WindowLog.sitesOffset + sites * WindowLog.siteSize + words * 8 }
    }

    private static let magic: UInt64 = 0x3177_6f64_6e69_7774
    private static let sitesOffset = 4096
    private static let siteSize = 24
    private enum Field: Int {
        case magic, siteCapacity, streamWords, mode, isLoaded, sites, words, instructions, lost
    }

    private let capacity: Capacity
    private let base: UnsafeMutableRawPointer

    /// Creates the file.
    init(creating path: String, capacity: Capacity) throws(RunError) {
        self.capacity = capacity
        base = try SharedFile.create(path, bytes: capacity.bytes)
        write(.magic, WindowLog.magic)
        write(.siteCapacity, UInt64(capacity.sites))
        write(.streamWords, UInt64(capacity.words))
    }

    deinit { munmap(base, capacity.bytes) }

    private func read(_ field: Field) -> UInt64 { base.load(fromByteOffset: 8 * field.rawValue, as: UInt64.self) }

    private func write(_ field: Field, _ value: UInt64) {
        base.storeBytes(of: value, toByteOffset: 8 * field.rawValue, as: UInt64.self)
    }

    /// Whether QEMU has loaded the plugin.
    var isLoaded: Bool { read(.isLoaded) != 0 }

    /// What the plugin does (`enum ttd_window_mode`).
    enum Mode: UInt64 {
        /// Nothing.
        case sleeps
        /// It logs every instruction.
        case logs
        /// It instruments and does not log: for the first instructions after a checkpoint was loaded.
        case primes
    }

    /// To be set while the guest is paused.
    var mode: Mode {
        get { Mode(rawValue: read(.mode)) ?? .sleeps }
        set { write(.mode, newValue.rawValue) }
    }

    /// Empties the stream. The sites stay: QEMU keeps its translations.
    func clear() {
        for field in [Field.words, .instructions, .lost] { write(field, 0) }
    }

    /// Instructions that began in the window.
    public var instructions: Int { Int(clamping: read(.instructions)) }
    /// Records that found no room: the end of the window is missing.
    public var lost: Int { Int(clamping: read(.lost)) }

    /// The stream's words.
    public var stream: UnsafeBufferPointer<UInt64> {
        let start = base + WindowLog.sitesOffset + capacity.sites * WindowLog.siteSize
        let count = min(Int(clamping: read(.words)), capacity.words)
        return UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt64.self), count: count)
    }

    /// Translated instructions.
    public var siteCount: Int { min(Int(clamping: read(.sites)), capacity.sites) }

    /// The address of a translated instruction.
    public func address(site: Int) -> UInt64 {
        precondition(site < capacity.sites)
        return base.load(fromByteOffset: WindowLog.sitesOffset + site * WindowLog.siteSize, as: UInt64.self)
    }

    /// The bytes of a translated instruction.
    public func code(site: Int) -> [UInt8] {
        precondition(site < capacity.sites)
        let start = base + WindowLog.sitesOffset + site * WindowLog.siteSize + 8
        let size = min(Int(start.load(as: UInt8.self)), 15)
        return Array(UnsafeRawBufferPointer(start: start + 1, count: size))
    }
}
