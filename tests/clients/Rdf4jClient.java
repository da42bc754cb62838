import org.eclipse.rdf4j.model.Statement;
import org.eclipse.rdf4j.query.BindingSet;
import org.eclipse.rdf4j.query.BooleanQuery;
import org.eclipse.rdf4j.query.GraphQuery;
import org.eclipse.rdf4j.query.Query;
import org.eclipse.rdf4j.query.TupleQuery;
import org.eclipse.rdf4j.repository.RepositoryConnection;
import org.eclipse.rdf4j.repository.sparql.SPARQLRepository;
import java.util.Map;

/** Asks a SPARQL endpoint by RDF4J: {@code Rdf4jClient ENDPOINT KEY QUERY…}; writes each value found on a line of its own. */
final class Rdf4jClient {

    public static void main(String[] arguments) {
        SPARQLRepository repository = new SPARQLRepository(arguments[0]);
        repository.setAdditionalHttpHeaders(Map.of("Authorization", "Bearer " + arguments[1]));
        try (RepositoryConnection connection = repository.getConnection()) {
            System.out.println("size " + connection.size());
            connection.getContextIDs().forEach(graph -> System.out.println("graph " + graph.stringValue()));
            for (int number = 2; number < arguments.length; number++) {
                show(connection.prepareQuery(arguments[number]));
            }
        } finally {
            repository.shutDown();
        }
    }

    private static void show(Query query) {
        if (query instanceof BooleanQuery ask) {
            System.out.println(ask.evaluate());
        } else if (query instanceof GraphQuery construct) {
            for (Statement statement : construct.evaluate()) {
                System.out.println(statement.getObject().stringValue());
            }
        } else {
            for (BindingSet row : ((TupleQuery) query).evaluate()) {
                row.forEach(binding -> System.out.println(binding.getValue().stringValue()));
            }
        }
    }
}
