// SPDX-License-Identifier: GPL-2.0-or-later

extension XenTraceRecord {
    /// Whether addresses in the record have 64 bits.
    private var isLong: Bool { event & 0x100 != 0 }

    /// An address at a word, and the index of the word after it.
    private func address(_ index: Int) -> (value: UInt64, next: Int) {
        isLong ? (long(index), index + 2) : (UInt64(self[index]), index + 1)
    }

    /// Whether the guest itself entered the hypervisor with this record: the entries of paravirtualised guests and the exits
    /// of others. The log's clock counts these.
    var isEntry: Bool { event >> 12 == 0x201 || event & ~0x500 == 0x81002 }

    /// The record as an event, without a position.
    ///
    /// The private payload holds the record itself: event, processor, words.
    func asEvent() -> Event {
        var result = Event(stream: .event, kind: unnamedKind)
        switch event >> 12 {
        case 0x201: readParavirtual(&result)
        case 0x81, 0x82: readHVM(&result)
        default: break
        }
        if result.kind.usualStream == .access { result.stream = .access }
        if tsc != 0 {
            result.tsc = tsc
            result.validity.insert(.tsc)
        }
        result.privatePayload = raw
        return result
    }

    /// Event, processor and words, as bytes.
    private var raw: [UInt8] {
        let size = 8 + 4 * wordCount
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let target = UnsafeMutableRawBufferPointer(buffer)
            target.storeBytes(of: event.littleEndian, toByteOffset: 0, as: UInt32.self)
            target.storeBytes(of: cpu.littleEndian, toByteOffset: 4, as: UInt32.self)
            withUnsafeBytes(of: words) { words in
                UnsafeMutableRawBufferPointer(rebasing: target[8..<size])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: words[..<(4 * wordCount)]))
            }
            count = size
        }
    }

    /// The features that a log with this record has.
    var features: FileHeader.Features {
        switch event & ~0x100 {
        case 0x8200c, 0x8200d, 0x8200e, 0x8201a, 0x82016, 0x82216: [.accesses, .accessValues]
        case 0x82017, 0x82217: [.mmio, .mmioValues]
        case 0x201005: .accesses
        default: []
        }
    }

    /// The kind of a record that our table of kinds does not have: a number from 0x8000 on for each event.
    private var unnamedKind: EventKind {
        let subclasses: [UInt32] = [0x21, 0x22, 0x28, 0x81, 0x82, 0x201, 0x802]
        let code = subclasses.firstIndex(of: event >> 12) ?? subclasses.count
        return EventKind(rawValue: 0x8000 | UInt16(code) << 12 | UInt16(event & 0xfff))
    }

    private func readParavirtual(_ result: inout Event) {
        func at(_ ip: UInt64) {
            result.ip = ip
            result.validity.insert(.ip)
        }
        switch event & 0xeff {
        case 1:  // hypercall, the older form
            let (ip, next) = address(0)
            at(ip)
            result.kind = .hypercall
            result.info = self[next]
        case 3:  // trap
            let (ip, next) = address(0)
            at(ip)
            result.kind = .exception
            result.info = self[next] & 0x7fff
            if self[next] & 0x8000 != 0 { result.set(values: [UInt64(self[next] >> 16)]) }
        case 4:  // page fault
            let (ip, next) = address(0)
            let (fault, last) = address(next)
            at(ip)
            result.kind = .exception
            result.info = 14
            result.set(address: fault, values: [UInt64(self[last])])
        case 5:  // forced invalid operation: cpuid of a paravirtualised guest
            at(address(0).value)
            result.kind = .cpuid
        case 6:  // emulation of a privileged operation
            at(address(0).value)
        case 11:  // write to a page table
            let (entry, next) = address(0)
            let (place, last) = address(next)
            at(address(last).value)
            result.set(address: place, values: [entry])
        case 13:
            result.kind = .hypercall
            result.info = self[0] & 0xfffff
            let arguments = hypercallArguments
            if !arguments.isEmpty { result.set(values: arguments) }
        default: break
        }
    }

    /// The arguments of a hypercall: two bits each say whether it is there, with 32 or 64 bits.
    private var hypercallArguments: [UInt64] {
        var values: [UInt64] = []
        var index = 1
        for argument in 0..<6 {
            switch self[0] >> UInt32(20 + 2 * argument) & 3 {
            case 1 where index < wordCount:
                values.append(UInt64(self[index]))
                index += 1
            case 2 where index + 1 < wordCount:
                values.append(long(index))
                index += 2
            default: break
            }
        }
        return values
    }

    private func readHVM(_ result: inout Event) {
        switch event & ~0x100 {
        case 0x81002:  // exit: reason, address
            result.info = self[0]
            result.ip = address(1).value
            result.validity.insert(.ip)
        case 0x82002:  // page fault that is injected: error code, address
            result.kind = .exception
            result.info = 14
            result.set(address: address(1).value, values: [UInt64(self[0])])
        case 0x82003:
            result.kind = .exception
            result.info = self[0]
            if wordCount > 1 { result.set(values: [UInt64(self[1])]) }
        case 0x82004:
            result.kind = .interrupt
            result.info = self[0]
        case 0x8200c, 0x8200d:
            result.kind = event & 0xff == 0x0c ? .rdmsr : .wrmsr
            result.set(address: UInt64(self[0]), values: [long(1)])
        case 0x8200e:
            result.kind = .cpuid
            result.set(address: UInt64(self[0]), values: [long(1), long(3)])
        case 0x82012:
            result.kind = .hypercall
            result.info = self[0]
        case 0x82016, 0x82216:
            result.kind = event & 0x200 == 0 ? .portRead : .portWrite
            result.set(address: UInt64(self[0]), values: [UInt64(self[1])])
        case 0x82017, 0x82217:
            result.kind = event & 0x200 == 0 ? .mmioRead : .mmioWrite
            let (place, next) = address(0)
            result.set(address: place, values: [UInt64(self[next])])
        case 0x8201a:
            result.kind = .rdtsc
            result.set(values: [long(0)])
        default: break
        }
    }
}

extension Event {
    /// Sets the words of the payload.
    fileprivate mutating func set(address: UInt64? = nil, values: [UInt64]) {
        if address != nil { validity.insert(.address) }
        validity.insert(.value)
        payload = Event.payload(words: (address.map { [$0] } ?? []) + values)
    }
}
