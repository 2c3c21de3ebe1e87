/* gateway: Modbus TCP on one side, a serial line with units on the other, as one box. For tests and benches; 127.0.0.1
 * only. The protocol is the library's (digitalpetri modbus, Java); what is ours is the line behind it.
 *
 * usage: java -cp DIR:DIR/lib/* Gateway --port P [--unit ID:MS]... [--dead ID]... [--gives-up-ms 1000]
 *
 * The line carries one request at a time, whoever asks: a unit holds it for MS, and then answers. A dead unit holds it
 * until the gateway gives up, which then says exception 11 (gateway target device failed to respond). So does a unit
 * that takes longer than the gateway waits. Any other unit id is answered nothing.
 * Holding register a of unit u holds (1000 * u + a) % 65536; other functions are answered exception 1.
 *
 * Standard output is JSON, an object a line: {"event":"ready","port":...} when clients can connect, and
 * {"event":"stopped","ticks":0,"requests":{"ID":...}} at SIGTERM or SIGINT.
 */
import com.digitalpetri.modbus.ExceptionCode;
import com.digitalpetri.modbus.FunctionCode;
import com.digitalpetri.modbus.exceptions.ModbusResponseException;
import com.digitalpetri.modbus.exceptions.UnknownUnitIdException;
import com.digitalpetri.modbus.pdu.ReadHoldingRegistersRequest;
import com.digitalpetri.modbus.pdu.ReadHoldingRegistersResponse;
import com.digitalpetri.modbus.server.ModbusRequestContext;
import com.digitalpetri.modbus.server.ModbusServices;
import com.digitalpetri.modbus.server.ModbusTcpServer;
import com.digitalpetri.modbus.tcp.server.NettyTcpServerTransport;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;

final class Gateway implements ModbusServices {
    private static final int NEVER = Integer.MAX_VALUE;

    private final Map<Integer, Integer> units;
    private final int givesUp;
    private final Map<Integer, Integer> requests = new TreeMap<>();
    private final ReentrantLock line = new ReentrantLock(true);

    private Gateway(Map<Integer, Integer> units, int givesUp) {
        this.units = units;
        this.givesUp = givesUp;
    }

    @Override
    public ReadHoldingRegistersResponse readHoldingRegisters(
            ModbusRequestContext context, int unit, ReadHoldingRegistersRequest request)
            throws ModbusResponseException, UnknownUnitIdException {
        Integer takes = units.get(unit);
        if (takes == null) throw new UnknownUnitIdException(unit);
        ModbusServices.checkRegisterRange(FunctionCode.READ_HOLDING_REGISTERS.getCode(), request.address(), request.quantity());
        hold(unit, Math.min(takes, givesUp));
        if (takes > givesUp)
            throw new ModbusResponseException(
                    FunctionCode.READ_HOLDING_REGISTERS, ExceptionCode.GATEWAY_TARGET_DEVICE_FAILED_TO_RESPONSE);
        return new ReadHoldingRegistersResponse(registers(unit, request.address(), request.quantity()));
    }

    private void hold(int unit, int milliseconds) {
        line.lock();
        try {
            requests.merge(unit, 1, Integer::sum);
            Thread.sleep(milliseconds);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        } finally {
            line.unlock();
        }
    }

    private static byte[] registers(int unit, int first, int count) {
        byte[] bytes = new byte[2 * count];
        for (int i = 0; i < count; i++) {
            int word = (1000 * unit + first + i) % 65536;
            bytes[2 * i] = (byte) (word >> 8);
            bytes[2 * i + 1] = (byte) word;
        }
        return bytes;
    }

    private void sayStopped() {
        line.lock();
        String counts = requests.entrySet().stream()
                .map(one -> "\"" + one.getKey() + "\":" + one.getValue())
                .collect(Collectors.joining(",", "{", "}"));
        System.out.println("{\"event\":\"stopped\",\"ticks\":0,\"requests\":" + counts + "}");
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        int port = 0, givesUp = 1000;
        Map<Integer, Integer> units = new TreeMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            String[] words = arguments[i + 1].split(":");
            int first = Integer.parseInt(words[0]);
            switch (arguments[i]) {
                case "--port" -> port = first;
                case "--gives-up-ms" -> givesUp = first;
                case "--unit" -> units.put(first, Integer.parseInt(words[1]));
                case "--dead" -> units.put(first, NEVER);
                default -> throw new IllegalArgumentException(arguments[i]);
            }
        }
        int chosen = port;
        Gateway gateway = new Gateway(units, givesUp);
        ModbusTcpServer server = ModbusTcpServer.create(
                NettyTcpServerTransport.create(config -> {
                    config.setBindAddress("127.0.0.1");
                    config.setPort(chosen);
                }),
                gateway);
        server.start();
        Runtime.getRuntime().addShutdownHook(new Thread(gateway::sayStopped));
        System.out.println("{\"event\":\"ready\",\"port\":" + chosen + "}");
        System.out.flush();
        Thread.currentThread().join();
    }
}
