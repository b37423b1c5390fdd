// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What a stream shall contain.
struct StreamRequest {
    /// The vCPU; nil: all, one after the other.
    var vcpu: UInt16?
    /// The first clock.
    var from: UInt64 = 0
    /// The clock after the last one; `.max`: no end.
    var to: UInt64 = .max
    /// The names of columns; nil: all.
    var columns: [String]?
    /// The kinds of events; empty: all.
    var kinds: [EventKind] = []
    /// Whether damage is passed over and counted.
    var skipsDamage = false
    /// Whether columns of names are plain text.
    var usesPlainText = false
    /// What names addresses of code; nil: nothing.
    var symbols: RunSymbols?

    /// The vCPUs that are read, in order.
    func vcpus(of log: LogFile) -> [UInt16] { vcpu.map { [$0] } ?? log.vcpus }

    /// The chunks of a stream that may have records of the request.
    func chunks(_ stream: LogStream, of log: LogFile) -> [Chunk] {
        let vcpus = stream == .meta ? [noVCPU] : vcpus(of: log)
        return vcpus.flatMap { vcpu in
            log.chunks(stream, vcpu: vcpu).filter { $0.clockLast >= from && ($0.clockFirst < to || to == .max) }
        }
    }

    func contains(clock: UInt64) -> Bool { clock >= from && (clock < to || to == .max) }

    /// The chosen ones of some columns, in the request's order.
    func choose<Column>(_ all: [Column], name: (Column) -> String) throws(RequestError) -> [Column] {
        guard let columns else { return all }
        var chosen: [Column] = []
        for wanted in columns {
            guard let column = all.first(where: { name($0) == wanted }) else {
                throw .noColumn(wanted, present: all.map(name))
            }
            guard !chosen.contains(where: { name($0) == wanted }) else { throw .columnTwice(wanted) }
            chosen.append(column)
        }
        return chosen
    }
}

/// Why a stream cannot be opened.
enum RequestError: Error, CustomStringConvertible {
    case noStream(String)
    case noColumn(String, present: [String])
    case columnTwice(String)
    case noKind(String)
    case noVCPU(Int32, present: [UInt16])
    case requestSize(UInt32)
    case noSlide(String)
    case notUTF8

    var description: String {
        switch self {
        case .noStream(let name):
            "no stream \(name); there are \(StreamName.allCases.map(\.rawValue).joined(separator: ", "))"
        case .noColumn(let name, let present): "no column \(name); there are \(present.joined(separator: ", "))"
        case .columnTwice(let name): "column \(name) is named twice"
        case .noKind(let name): "no event kind \(name)"
        case .noVCPU(let number, let present):
            "no vCPU \(number); there are \(present.map(String.init).joined(separator: ", "))"
        case .requestSize(let size): "the request has \(size) bytes: the caller was built for another interface"
        case .noSlide(let text): "\(text) is no slide of a kernel: a number, auto or off"
        case .notUTF8: "a name is not UTF-8"
        }
    }
}
