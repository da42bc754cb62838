import org.apache.jena.query.Query;
import org.apache.jena.query.QueryFactory;
import org.apache.jena.query.QuerySolution;
import org.apache.jena.query.ResultSet;
import org.apache.jena.rdf.model.RDFNode;
import org.apache.jena.rdf.model.Statement;
import org.apache.jena.sparql.exec.http.QueryExecutionHTTP;

/** Asks a SPARQL endpoint by Apache Jena: {@code JenaClient ENDPOINT KEY QUERY…}; writes each value found on a line of its own. */
final class JenaClient {

    public static void main(String[] arguments) {
        for (int number = 2; number < arguments.length; number++) {
            Query query = QueryFactory.create(arguments[number]);
            try (QueryExecutionHTTP asked = QueryExecutionHTTP.newBuilder()
                    .endpoint(arguments[0]).query(query).httpHeader("Authorization", "Bearer " + arguments[1]).build()) {
                show(query, asked);
            }
        }
    }

    private static void show(Query query, QueryExecutionHTTP asked) {
        if (query.isAskType()) {
            System.out.println(asked.execAsk());
        } else if (query.isConstructType()) {
            asked.execConstruct().listStatements().forEach((Statement found) -> show(found.getObject()));
        } else {
            ResultSet rows = asked.execSelect();
            while (rows.hasNext()) {
                QuerySolution row = rows.next();
                row.varNames().forEachRemaining(name -> show(row.get(name)));
            }
        }
    }

    private static void show(RDFNode value) {
        System.out.println(value.isLiteral() ? value.asLiteral().getLexicalForm() : value.toString());
    }
}
