// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Formatting
import LogFormat

/// The SQL functions:
///
/// | function | result |
/// | --- | --- |
/// | `addr(n)` | an address as text, `0xffffffff81000000` |
/// | `symbol(addr[, run])` | `function+0x12`, from the places of the index; NULL where it has none |
/// | `source(addr[, run])` | `file.c:12`, likewise |
/// | `at_icount(n[, run])` | the branch counter of vCPU 0 at an instruction count |
/// | `brctr_at(place[, run])` | the first branch to `SYMBOL[+OFFSET][:BRCTR]` or `0xADDRESS[:BRCTR]`, at or after BRCTR |
///
/// `run` is the name of one of several runs; without it, the first run is used.
enum QueryFunctions {
    /// Registers the functions in a connection.
    static func register(_ connection: OpaquePointer, _ registry: LogRegistry) -> Int32 {
        for function in functions {
            for count in function.arguments {
                let context = Unmanaged.passRetained(FunctionContext(connection, registry))
                let code = sqlite3_create_function_v2(
                    connection, function.name, count, SQLITE_UTF8 | SQLITE_INNOCUOUS, context.toOpaque(), function.body,
                    nil, nil, { if let context = $0 { Unmanaged<FunctionContext>.fromOpaque(context).release() } })
                guard code == SQLITE_OK else { return code }
            }
        }
        return SQLITE_OK
    }

    /// The names, for completion.
    static let names = functions.map(\.name)

    private typealias Body =
        @convention(c) (
            OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?
        ) -> Void

    // C functions that capture nothing.
    private static let functions: [(name: String, arguments: [Int32], body: Body)] = [
        (
            "addr", [1],
            { call, _, values in
                guard let value = values?[0], sqlite3_value_type(value) == SQLITE_INTEGER else { return }
                answer(call, RowText.hex(UInt64(bitPattern: sqlite3_value_int64(value))))
            }
        ),
        (
            "symbol", [1, 2],
            { call, count, values in
                answer(call, count, values) { context, address, run in
                    try context.placeText(address, run, "label", "_place")
                }
            }
        ),
        (
            "source", [1, 2],
            { call, count, values in
                answer(call, count, values) { context, address, run in
                    try context.placeText(
                        address, run, "s.name || ':' || coalesce(p.line, '?')", "_place AS p",
                        join: "_file AS s ON s.id = p.file")
                }
            }
        ),
        (
            "at_icount", [1, 2],
            { call, count, values in
                guard let call, let value = values?[0], sqlite3_value_type(value) == SQLITE_INTEGER else { return }
                run(call) { context in
                    let icount = sqlite3_value_int64(value)
                    guard icount >= 0 else { return }
                    let clock = try context.clock(icount: UInt64(icount), run: text(count > 1 ? values?[1] : nil))
                    if let clock { sqlite3_result_int64(call, Int64(bitPattern: clock)) }
                }
            }
        ),
        (
            "brctr_at", [1, 2],
            { call, count, values in
                guard let call, let place = text(values?[0]) else { return }
                run(call) { context in
                    let clock = try context.clock(place: place, run: text(count > 1 ? values?[1] : nil))
                    if let clock { sqlite3_result_int64(call, clock) }
                }
            }
        ),
    ]

    /// Answers a function of an address.
    private static func answer(
        _ call: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?,
        _ body: (FunctionContext, Int64, String?) throws -> String?
    ) {
        guard let call, let value = values?[0], sqlite3_value_type(value) == SQLITE_INTEGER else { return }
        run(call) { context in
            let found = try body(context, sqlite3_value_int64(value), text(count > 1 ? values?[1] : nil))
            if let found { answer(call, found) }
        }
    }

    private static func answer(_ call: OpaquePointer?, _ value: String) {
        guard let call else { return }
        var value = value
        value.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                tt_result_text(call, $0.baseAddress, Int32(clamping: bytes.count))
            }
        }
    }

    private static func run(_ call: OpaquePointer, _ body: (FunctionContext) throws -> Void) {
        guard let context = sqlite3_user_data(call) else { return }
        do {
            try body(Unmanaged<FunctionContext>.fromOpaque(context).takeUnretainedValue())
        } catch {
            sqlite3_result_error(call, "\(error)", -1)
        }
    }

    private static func text(_ value: OpaquePointer??) -> String? {
        guard let value = value ?? nil, let bytes = sqlite3_value_text(value) else { return nil }
        return String(
            decoding: UnsafeBufferPointer(start: bytes, count: Int(sqlite3_value_bytes(value))), as: UTF8.self)
    }
}
