import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Runs mongo-java-server, which is a library without a program: {@code InMemoryMongoDB HOST PORT}. */
final class InMemoryMongoDB {

    public static void main(String[] arguments) throws InterruptedException {
        new MongoServer(new MemoryBackend().version(new Version())).bind(arguments[0], Integer.parseInt(arguments[1]));
        Thread.currentThread().join();
    }

    /** The newest version that the library tells of is one that drivers no longer talk to. */
    private static final class Version implements MongoVersion {

        @Override
        public List<Integer> getVersionArray() {
            return List.of(5, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 13; // that of MongoDB 5.0
        }
    }
}
