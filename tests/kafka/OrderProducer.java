import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Writes order lines of 7 units with Java's own client and its default partitioner. */
public class OrderProducer {
    private static final int UNITS = 7;

    /** Arguments: bootstrap servers, topic, transactional id, SKUs with commas between them. */
    public static void main(String[] arguments) {
        String topic = arguments[1];
        List<String> skus = List.of(arguments[3].split(","));
        try (KafkaProducer<String, String> producer = open(arguments[0], null)) {
            write(producer, topic, "java", skus);
        }
        try (KafkaProducer<String, String> producer = open(arguments[0], arguments[2])) {
            producer.initTransactions();
            producer.beginTransaction();
            write(producer, topic, "java-committed", skus);
            producer.commitTransaction();
            producer.beginTransaction();
            write(producer, topic, "java-aborted", skus);
            producer.flush();
            producer.abortTransaction();
        }
    }

    private static KafkaProducer<String, String> open(String bootstrap, String transactionalId) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("compression.type", "gzip");
        if (transactionalId != null) {
            properties.put("transactional.id", transactionalId);
        }
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private static void write(
            KafkaProducer<String, String> producer, String topic, String name, List<String> skus) {
        for (String sku : skus) {
            String id = name + "-" + sku;
            String line = String.format(
                "{\"kind\":\"placed\",\"event_id\":\"%s\",\"order_id\":\"%s\",\"sku\":\"%s\","
                    + "\"quantity\":%d,\"occurred_at\":%d}",
                id, id, sku, UNITS, System.currentTimeMillis());
            producer.send(new ProducerRecord<>(topic, sku, line));
        }
    }
}
